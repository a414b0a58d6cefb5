"""Play the episodes of many members on some lanes; a lane whose episode has ended takes the next one that waits.

The loop is a `while_loop` over short scans of all lanes. Between two scans the episodes that have ended are noted, and
the lanes that are free are filled again. After an episode's end neither its rewards nor its observations count.

What is to be played are slots: each member has `e` of them, and a slot holds one episode, or several one after the
other where `least_steps` asks for more.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import lax

from jaxes import lowrank
from jaxes.envs import contract
from jaxes.envs.protocol import Env
from jaxes.rl import normalizer as norm
from jaxes.rl.policies.policy import Policy
from jaxes.support import keys as keys_of
from jaxes.support.keys import Stream


class Episodes(NamedTuple):
    """The results of `m` members with `e` slots each; a slot has one episode unless `least_steps` asks for more."""

    returns: jax.Array  # float32[m, e]: sum over the slot's episodes
    lengths: jax.Array  # int32[m, e]: steps of the slot's episodes
    episodes: jax.Array  # int32[m, e]
    truncated: jax.Array  # int32[m, e]: episodes ended by the time limit, not by the environment
    lane_steps: jax.Array  # uint32[]: steps that the lanes took, including those after an episode's end
    moments: Any  # sums of the observations, or () without a normalizer


class Setup(NamedTuple):
    """What is played and how: everything that stays the same while the `n = m * e` slots are played."""

    env: Env
    policy: Policy
    act: Callable[..., Any]  # see `play`
    members: Callable[..., Any]  # see `play`
    common: Any  # what members of low rank share; None before the first lanes are made
    keys: jax.Array  # key[n]: of each slot's first episode; the slots of a member lie next to each other
    episodes: int  # e: slots of a member
    normalizer: Any  # a `Normalizer` or None
    see: Callable[[Any], Any]  # from observations, leaves [lanes, ...], to what the policy is given
    max_steps: jax.Array | int
    lanes: int
    steps: int  # between two looks at what has ended
    least_steps: int
    reward: Callable[[jax.Array, jax.Array], jax.Array] | None
    probe: Any  # key[] or None
    watch: float
    training: bool

    @property
    def slots(self) -> int:
        """n; also the number that stands for no slot."""
        return self.keys.shape[0]

    @property
    def waits(self) -> bool:
        """Whether slots wait for a lane; else each has its own from the start."""
        return self.lanes < self.slots or self.least_steps > 0

    @property
    def share(self) -> int:
        """Neighboring lanes that have the parameters of one member."""
        return 1 if self.waits else self.episodes

    @property
    def watches(self) -> bool:
        """Whether observations are summed."""
        return self.normalizer is not None and self.probe is not None

    @property
    def some_unseen(self) -> bool:
        """Whether the observations of some episodes are left out of the sums."""
        return self.watches and self.watch < 1


class Lanes(NamedTuple):
    """What is on the lanes, of which there are `l`."""

    env: Any  # EnvState, leaves [l, ...]
    memory: Any  # of the policy, leaves [l, ...]
    params: Any  # the part of the parameters that each member has of its own, leaves [l / share, ...]
    slot: jax.Array  # int32[l]: what is played, n if nothing
    again: jax.Array  # int32[l]: episodes that this slot has had before
    returns: jax.Array  # float32[l]
    lengths: jax.Array  # int32[l]
    alive: jax.Array  # bool[l]: the episode goes on
    truncated: jax.Array  # bool[l]
    watched: Any  # bool[l]: the normalizer sees the episode; () if it sees all


class Totals(NamedTuple):
    """What the slots have come to so far."""

    returns: jax.Array  # float32[n]
    lengths: jax.Array  # int32[n]
    episodes: jax.Array  # int32[n]
    truncated: jax.Array  # int32[n]


class Carry(NamedTuple):
    """What the loop carries."""

    lanes: Lanes
    totals: Totals
    waiting: jax.Array  # int32[]: the first slot that no lane has taken yet
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
    act: Callable[..., Any] | None = None,
) -> Episodes:
    """Play `e` slots of each of `m` members; to be jitted.

    Args:
        env: one that runs in compiled programs.
        policy: what acts.
        members: `members()` gives all of them, leaves [m, ...]; `members(int32[k])` gives some, in that order.
        keys: key[m, e]: of the environments' resets.
        normalizer: used as it is for all steps; None to give the policy raw observations.
        max_steps: time limit of an episode, int32[] (may be traced).
        lanes: episodes played at once; None for all `m * e`, so that nothing waits.
        scan_steps: take exactly that many steps; needs all lanes. None to stop when all episodes have ended.
        check_every: steps between two looks at which episodes have ended.
        least_steps: a slot whose episodes have fewer steps in all plays another one.
        reward: `(float32[], int32[]) -> float32[]`: makes of the environment's reward, and of the number of the step
            in its episode, the reward that is summed; by default the environment's own.
        probe: key[]: of one more reset, around whose observation the moments are taken, and so the same for all members
            of a generation; None for no moments.
        watch: the share of the episodes whose observations are summed; which ones, their keys decide.
        training: give a random policy a key for each action, derived from the episode's own key and the step.
        act: what `policy.act` does, for lanes that have a member of their own each, none of low rank. It is used where
            a member has one slot: of several, some modes make one batch, and all modes are to round alike.

    Returns:
        `Episodes`, leaves [m, e].

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/CyclicMDP")
    >>> policy = rl.mlp(env, (), head="categorical")
    >>> keys = jax.random.split(jax.random.key(0), (4, 2))  # four members, two episodes each
    >>> members = jax.vmap(policy.init)(keys[:, 0])
    >>> out = rl.play(env, policy, lambda ids=None: members, keys, None, 20)
    >>> out.returns.shape, bool((out.lengths <= 20).all())
    ((4, 2), True)
    """
    m, e = keys.shape
    count = m * e
    setup = Setup(
        env=contract.checked(env),
        policy=policy,
        act=policy.act if act is None else act,
        members=members,
        common=None,
        keys=keys.reshape(count),
        episodes=e,
        normalizer=normalizer,
        see=(lambda observation: observation) if normalizer is None else jax.vmap(norm.normalizing(normalizer)),
        max_steps=max_steps,
        lanes=count if lanes is None else lanes,
        steps=check_every if scan_steps is None else scan_steps,
        least_steps=least_steps,
        reward=reward,
        probe=probe,
        watch=watch,
        training=training,
    )
    setup, carry = begin(setup)
    if scan_steps is not None:
        end = several_steps(setup, carry)
    else:
        busy = lambda carry: jnp.any(carry.lanes.slot < count) | (carry.waiting < count)
        end = lax.while_loop(busy, lambda carry: several_steps(setup, carry), carry)
    out = jax.tree.map(lambda x: x.reshape(m, e), end.totals)
    return Episodes(out.returns, out.lengths, out.episodes, out.truncated, end.lane_steps, end.moments)


def begin(setup: Setup) -> tuple[Setup, Carry]:
    """The setup with what members share, and the carry before the first step: empty lanes where slots wait."""
    count, members = setup.slots, setup.members
    zeros = jnp.zeros(count, jnp.int32)
    totals = Totals(jnp.zeros(count, jnp.float32), zeros, zeros, zeros)
    none = jnp.zeros(setup.lanes, jnp.int32)
    if not setup.waits:
        everyone = members()
        setup = setup._replace(common=lowrank.common(everyone))
        lanes, probed = enter(setup, everyone, jnp.arange(count, dtype=jnp.int32), none)
        moments = ()
        if setup.watches:
            moments = norm.around(norm.no_moments(setup.normalizer), setup.normalizer, probed)
        return setup, Carry(lanes, totals, jnp.int32(count), jnp.uint32(0), moments)
    some = jax.eval_shape(members, none)
    setup = setup._replace(common=lowrank.common(members(none) if lowrank.any_low_rank(some) else some))
    shapes = jax.eval_shape(lambda *args: enter(setup, *args), some, none, none)[0]
    blank = lambda x: jnp.broadcast_to(
        setup.keys[0] if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else jnp.zeros((), x.dtype), x.shape
    )
    lanes = jax.tree.map(blank, shapes)._replace(slot=jnp.full(setup.lanes, count, jnp.int32))
    moments = norm.no_moments(setup.normalizer) if setup.watches else ()
    return setup, Carry(lanes, totals, jnp.int32(0), jnp.uint32(0), moments)


def several_steps(setup: Setup, carry: Carry) -> Carry:
    """Fill the free lanes, take `setup.steps` steps on all of them, and note what has ended."""
    if setup.waits:
        carry = fill(setup, carry)
    params, start = carry.lanes.params, (carry.lanes._replace(params=()), carry.moments)
    one = lambda state, _: (step(setup, params, state), None)
    (lanes, moments), _ = lax.scan(one, start, length=setup.steps)
    taken = carry.lane_steps + jnp.uint32(setup.lanes * setup.steps)
    return note(setup, carry._replace(lanes=lanes._replace(params=params), moments=moments, lane_steps=taken))


def enter(setup: Setup, population: Any, slot: jax.Array, again: jax.Array) -> tuple[Lanes, Any]:
    """Lanes at the beginning of an episode.

    Args:
        setup: what is played.
        population: the members of these lanes, leaves [l / share, ...].
        slot: int32[l]: what each lane plays.
        again: int32[l]: episodes that the slot has had before.

    Returns:
        The lanes, and the observation of the probe's reset (of any other one without a probe).
    """
    size = slot.shape[0]
    key = jax.vmap(lambda *of: key_of(setup, *of))(slot, again)
    # The probe is one lane more instead of a reset of its own, which would have to be compiled once more.
    start = jax.vmap(setup.env.reset)(jnp.concatenate([key, setup.probe[None]]) if setup.watches else key)
    probed = jax.tree.map(lambda x: x[-1], start.observation)
    seen = lambda key: jax.random.uniform(keys_of.stream(key, Stream.WATCH)) < setup.watch
    for_lanes = lambda tree: jax.tree.map(lambda x: jnp.repeat(x, setup.share, axis=0), tree)
    lanes = Lanes(
        env=jax.tree.map(lambda x: x[:size], start),
        memory=for_lanes(lowrank.vmap(setup.policy.start)(population)),
        params=lowrank.own(population),
        slot=slot,
        again=again,
        returns=jnp.zeros(size, jnp.float32),
        lengths=jnp.zeros(size, jnp.int32),
        alive=jnp.ones(size, bool),
        truncated=jnp.zeros(size, bool),
        watched=jax.vmap(seen)(key) if setup.some_unseen else (),
    )
    return lanes, probed


def step(setup: Setup, params: Any, state: tuple[Lanes, Any]) -> tuple[Lanes, Any]:
    """One step of every lane.

    Args:
        setup: what is played.
        params: of the lanes' members: `Lanes.params`, kept apart because no step changes them.
        state: the lanes without their parameters, and the moments; so is what is returned.
    """
    lanes, moments = state
    seen = lanes.env.observation
    if setup.watches:
        watched = lanes.alive & lanes.watched if setup.some_unseen else lanes.alive
        moments = norm.observe(setup.normalizer, moments, seen, watched)
    noise = None
    if setup.training and setup.policy.random:
        noise_key = lambda slot, again, t: keys_of.of_action(key_of(setup, slot, again), t)
        noise = jax.vmap(noise_key)(lanes.slot, lanes.again, lanes.lengths)
    action, memory = _act(setup, params, lanes.memory, seen, noise)
    then = jax.vmap(setup.env.step)(lanes.env, action)
    gain = then.reward if setup.reward is None else setup.reward(then.reward, lanes.lengths)
    lengths = lanes.lengths + lanes.alive.astype(jnp.int32)
    going = lanes.alive & ~then.done
    alive = going & (lengths < setup.max_steps)
    after = lanes._replace(
        env=then,
        memory=memory,
        returns=lanes.returns + jnp.where(lanes.alive, gain, 0),
        lengths=lengths,
        alive=alive,
        truncated=lanes.truncated | (going & ~alive),
    )
    return after, moments


def fill(setup: Setup, carry: Carry) -> Carry:
    """Give every free lane a slot that waits, a few lanes at a time."""
    lanes, count = carry.lanes, setup.slots
    free = ~lanes.alive & (lanes.slot == count)
    taken = jnp.where(free, jnp.minimum(carry.waiting - 1 + jnp.cumsum(free, dtype=jnp.int32), count), lanes.slot)
    wanting = ~lanes.alive & (taken < count)
    some = max(1, setup.lanes // 8)
    order = jnp.nonzero(wanting, size=setup.lanes + -setup.lanes % some, fill_value=setup.lanes)[0]

    def put(i, state):
        lanes, moments = state
        at = lax.dynamic_slice_in_dim(order, i * some, some)
        slot = taken.at[at].get(mode="fill", fill_value=count)
        again = lanes.again.at[at].get(mode="fill", fill_value=0)
        fresh, probed = enter(setup, setup.members(jnp.minimum(slot, count - 1) // setup.episodes), slot, again)
        chex.assert_trees_all_equal_dtypes(lanes, fresh)
        if setup.watches:
            moments = norm.around(moments, setup.normalizer, probed)
        return jax.tree.map(lambda x, y: x.at[at].set(y, mode="drop"), lanes, fresh), moments

    rounds = (jnp.sum(wanting, dtype=jnp.int32) + some - 1) // some
    lanes, moments = lax.fori_loop(0, rounds, put, (lanes, carry.moments))
    waiting = jnp.minimum(carry.waiting + jnp.sum(free, dtype=jnp.int32), count)
    return carry._replace(lanes=lanes, waiting=waiting, moments=moments)


def note(setup: Setup, carry: Carry) -> Carry:
    """Add the episodes that have ended to the totals; their lanes are free then, unless the slot goes on."""
    lanes, totals, count = carry.lanes, carry.totals, setup.slots
    ended = ~lanes.alive & (lanes.slot < count)
    at = jnp.where(ended, lanes.slot, count)
    new = Totals(lanes.returns, lanes.lengths, jnp.ones_like(lanes.lengths), lanes.truncated.astype(jnp.int32))
    totals = jax.tree.map(lambda x, y: x.at[at].add(y, mode="drop"), totals, new)
    done = ended
    if setup.least_steps:
        done &= totals.lengths[jnp.minimum(lanes.slot, count - 1)] >= setup.least_steps
    slot = jnp.where(done, count, lanes.slot)
    again = jnp.where(done, 0, lanes.again + ended.astype(jnp.int32))
    return carry._replace(lanes=lanes._replace(slot=slot, again=again), totals=totals)


def key_of(setup: Setup, slot: jax.Array, again: jax.Array) -> jax.Array:
    """The key of the episode in a slot that has had `again` before; any key for no slot."""
    key = setup.keys[jnp.minimum(slot, setup.slots - 1)]
    return keys_of.of_episode(key, again) if setup.least_steps else key


def _act(setup: Setup, params: Any, memory: Any, seen: Any, keys: jax.Array | None) -> tuple[jax.Array, Any]:
    """The actions and memories of all lanes; those that share a member's parameters are one batch of it."""
    if setup.episodes == 1 and not jax.tree.leaves(setup.common):
        return jax.vmap(setup.act)(params, memory, setup.see(seen), keys)
    groups = (setup.lanes // setup.share, setup.share)
    grouped = lambda tree: jax.tree.map(lambda x: x.reshape(*groups, *x.shape[1:]), tree)
    keys = grouped(keys)
    of_group = jax.vmap(lowrank.structured(setup.policy.act), in_axes=(None, 0, 0, 0))
    act = jax.vmap(lambda own, *rest: of_group(lowrank.whole(setup.common, own), *rest))
    out = act(params, grouped(memory), grouped(setup.see(seen)), keys)
    return jax.tree.map(lambda x: x.reshape(setup.lanes, *x.shape[2:]), out)
