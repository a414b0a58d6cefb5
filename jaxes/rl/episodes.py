"""Play the episodes of many members on some lanes; a lane whose episode has ended takes the next one that waits.

The loop is a `while_loop` over short scans of all lanes. Between two scans ended episodes are written down, and lanes
that are free are filled again. Rewards after an episode's end do not count, and neither do its observations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes import lowrank
from jaxes.envs.protocol import Env
from jaxes.rl import normalizer as norm
from jaxes.rl.policies.policy import Policy
from jaxes.support import keys as keys_of
from jaxes.support.keys import Stream


class Episodes(NamedTuple):
    """What came of them; m members, e places each, with one episode a place unless `least_steps` asks for more."""

    returns: jax.Array  # float32[m, e]: sum over the place's episodes
    lengths: jax.Array  # int32[m, e]: steps of the place's episodes
    episodes: jax.Array  # int32[m, e]
    truncated: jax.Array  # int32[m, e]: episodes ended by the time limit, not by the environment
    lane_steps: jax.Array  # uint32[]: steps that the lanes took, those after an episode's end included
    moments: Any  # sums of the observations, or () without a normalizer


class _Lanes(NamedTuple):
    env: Any  # EnvState, leaves [lanes, ...]
    memory: Any  # the policy's, leaves [lanes, ...]
    params: Any  # what members have of their own; leaves [lanes / episodes that share them, ...]
    place: jax.Array  # int32[lanes]: what is played, m * e if nothing
    again: jax.Array  # int32[lanes]: episodes that this place has had before
    returns: jax.Array  # float32[lanes]
    lengths: jax.Array  # int32[lanes]
    alive: jax.Array  # bool[lanes]: the episode goes on
    truncated: jax.Array  # bool[lanes]
    watched: Any  # bool[lanes]: the normalizer sees it; () if it sees all


class _Totals(NamedTuple):
    returns: jax.Array  # float32[m * e]
    lengths: jax.Array  # int32[m * e]
    episodes: jax.Array  # int32[m * e]
    truncated: jax.Array  # int32[m * e]


class _Carry(NamedTuple):
    lanes: _Lanes
    totals: _Totals
    waiting: jax.Array  # int32[]: the first place that no lane has taken yet
    lane_steps: jax.Array  # uint32[]
    moments: Any


def play(
    env: Env,
    policy: Policy,
    members: Callable[..., Any],
    keys: jax.Array,
    normalizer: norm.Normalizer | None,
    max_steps: jax.Array | int,
    *,
    lanes: int | None = None,
    scan_steps: int | None = None,
    check_every: int = 8,
    least_steps: int = 0,
    reward: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    probe: jax.Array | None = None,
    watch: float = 1.0,
    training: bool = False,
) -> Episodes:
    """Play `e` episodes of each of `m` members.

    Args:
        members: `members()` gives all of them, leaves [m, ...]; `members(int32[k])` some, in that order.
        keys: key[m, e]: of the environments' resets.
        normalizer: used as it is, for all steps; None to give the policy raw observations.
        max_steps: time limit, int32[] (may be traced).
        lanes: episodes played at once; None for all `m * e`, so that nothing waits.
        scan_steps: take exactly that many steps; needs all lanes. None to stop when all episodes have ended.
        check_every: steps between two looks at what has ended.
        least_steps: a place whose episodes have fewer steps in all plays another one.
        reward: `(float32[], int32[]) -> float32[]`, from the environment's reward and the step of the episode to what
            is added up; the reward itself by default.
        probe: key[]: of one reset more, whose observation centers the moments, so the same for all members of a
            generation; None for no moments.
        watch: the share of the episodes whose observations are summed, chosen by their keys.
        training: give a random policy a key for each action, made of the episode's own key and the step.
    """
    m, e = keys.shape
    count = m * e
    width = count if lanes is None else lanes
    queue = width < count or least_steps > 0
    share = 1 if queue else e  # lanes that share one member's parameters
    keys = keys.reshape(count)
    deep = lambda tree: jax.tree.map(lambda x: x.reshape(width // share, share, *x.shape[1:]), tree)
    flat = lambda tree: jax.tree.map(lambda x: x.reshape(width, *x.shape[2:]), tree)
    of_lanes = jax.vmap(lowrank.structured(policy.act), in_axes=(None, 0, 0, 0))
    act = jax.vmap(lambda mine, *rest: of_lanes(lowrank.whole(common, mine), *rest))
    see = (lambda observation: observation) if normalizer is None else jax.vmap(norm.normalizing(normalizer))
    watching = normalizer is not None and probe is not None
    some_unseen = watching and watch < 1
    sees = lambda key: jax.random.uniform(keys_of.stream(key, Stream.WATCH)) < watch

    def key_of(place, again):
        key = keys[jnp.minimum(place, count - 1)]
        return keys_of.of_episode(key, again) if least_steps else key

    def enter(population, place, again) -> tuple[_Lanes, Any]:
        """Lanes of these members at the beginning of an episode, and the probe's observation."""
        size = place.shape[0]
        key = jax.vmap(key_of)(place, again)
        # The probe is one lane more instead of a reset of its own, which would have to be compiled once more.
        start = jax.vmap(env.reset)(jnp.concatenate([key, probe[None]]) if watching else key)
        seen = jax.tree.map(lambda x: x[-1], start.observation)
        fresh = _Lanes(
            env=jax.tree.map(lambda x: x[:size], start),
            memory=jax.tree.map(lambda x: jnp.repeat(x, share, axis=0), lowrank.vmap(policy.start)(population)),
            params=lowrank.own(population),
            place=place,
            again=again,
            returns=jnp.zeros(size, jnp.float32),
            lengths=jnp.zeros(size, jnp.int32),
            alive=jnp.ones(size, bool),
            truncated=jnp.zeros(size, bool),
            watched=jax.vmap(sees)(key) if some_unseen else (),
        )
        return fresh, seen

    def step(params, state: tuple[_Lanes, Any]):
        now, moments = state
        seen = now.env.observation
        if watching:
            moments = norm.observe(moments, seen, now.alive & now.watched if some_unseen else now.alive)
        noise = None
        if training and policy.random:
            noise_key = lambda place, again, t: keys_of.of_action(key_of(place, again), t)
            noise = deep(jax.vmap(noise_key)(now.place, now.again, now.lengths))
        action, memory = flat(act(params, deep(now.memory), deep(see(seen)), noise))
        then = jax.vmap(env.step)(now.env, action)
        gain = then.reward if reward is None else reward(then.reward, now.lengths)
        lengths = now.lengths + now.alive.astype(jnp.int32)
        going = now.alive & ~then.done
        alive = going & (lengths < max_steps)
        after = now._replace(
            env=then,
            memory=memory,
            returns=now.returns + jnp.where(now.alive, gain, 0),
            lengths=lengths,
            alive=alive,
            truncated=now.truncated | (going & ~alive),
        )
        return after, moments

    def fill(carry: _Carry) -> _Carry:
        """Give every free lane a place that waits, a few lanes at a time."""
        now = carry.lanes
        free = ~now.alive & (now.place == count)
        taken = jnp.where(free, jnp.minimum(carry.waiting - 1 + jnp.cumsum(free, dtype=jnp.int32), count), now.place)
        wanting = ~now.alive & (taken < count)
        some = max(1, width // 8)
        order = jnp.nonzero(wanting, size=width + -width % some, fill_value=width)[0]

        def put(i, state):
            now, moments = state
            at = lax.dynamic_slice_in_dim(order, i * some, some)
            place = taken.at[at].get(mode="fill", fill_value=count)
            again = now.again.at[at].get(mode="fill", fill_value=0)
            fresh, seen = enter(members(jnp.minimum(place, count - 1) // e), place, again)
            if watching:
                moments = norm.around(moments, normalizer, seen)
            return jax.tree.map(lambda x, y: x.at[at].set(y, mode="drop"), now, fresh), moments

        rounds = (jnp.sum(wanting, dtype=jnp.int32) + some - 1) // some
        now, moments = lax.fori_loop(0, rounds, put, (now, carry.moments))
        waiting = jnp.minimum(carry.waiting + jnp.sum(free, dtype=jnp.int32), count)
        return carry._replace(lanes=now, waiting=waiting, moments=moments)

    def note(carry: _Carry) -> _Carry:
        """Write down the episodes that have ended; their lanes are free then, unless the place goes on."""
        now, totals = carry.lanes, carry.totals
        ended = ~now.alive & (now.place < count)
        at = jnp.where(ended, now.place, count)
        new = _Totals(now.returns, now.lengths, jnp.ones_like(now.lengths), now.truncated.astype(jnp.int32))
        totals = jax.tree.map(lambda x, y: x.at[at].add(y, mode="drop"), totals, new)
        done = ended
        if least_steps:
            done &= totals.lengths[jnp.minimum(now.place, count - 1)] >= least_steps
        place = jnp.where(done, count, now.place)
        again = jnp.where(done, 0, now.again + ended.astype(jnp.int32))
        return carry._replace(lanes=now._replace(place=place, again=again), totals=totals)

    steps = check_every if scan_steps is None else scan_steps

    def body(carry: _Carry) -> _Carry:
        if queue:
            carry = fill(carry)
        params, start = carry.lanes.params, (carry.lanes._replace(params=()), carry.moments)
        (now, moments), _ = lax.scan(lambda state, _: (step(params, state), None), start, length=steps)
        taken = carry.lane_steps + jnp.uint32(width * steps)
        return note(carry._replace(lanes=now._replace(params=params), moments=moments, lane_steps=taken))

    zeros = jnp.zeros(count, jnp.int32)
    totals = _Totals(jnp.zeros(count, jnp.float32), zeros, zeros, zeros)
    none = jnp.zeros(width, jnp.int32)
    if queue:
        some = jax.eval_shape(members, none)
        common = lowrank.common(members(none) if lowrank.any_low_rank(some) else some)
        empty = jax.eval_shape(enter, some, none, none)[0]
        blank = lambda x: jnp.broadcast_to(
            keys[0] if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else jnp.zeros((), x.dtype), x.shape
        )
        now = jax.tree.map(blank, empty)._replace(place=jnp.full(width, count, jnp.int32))
        moments = norm.no_moments(normalizer) if watching else ()
        carry = _Carry(now, totals, jnp.int32(0), jnp.uint32(0), moments)
    else:
        everyone = members()
        common = lowrank.common(everyone)
        now, seen = enter(everyone, jnp.arange(count, dtype=jnp.int32), none)
        moments = norm.around(norm.no_moments(normalizer), normalizer, seen) if watching else ()
        carry = _Carry(now, totals, jnp.int32(count), jnp.uint32(0), moments)
    if scan_steps is not None:
        end = body(carry)
    else:
        busy = lambda carry: jnp.any(carry.lanes.place < count) | (carry.waiting < count)
        end = lax.while_loop(busy, body, carry)
    out = jax.tree.map(lambda x: x.reshape(m, e), end.totals)
    return Episodes(out.returns, out.lengths, out.episodes, out.truncated, end.lane_steps, end.moments)
