"""Play episodes of many policies side by side, until the last one has ended.

The loop is a `while_loop` over short scans: it ends early when all episodes have. Rewards after an episode's end do not
count, and neither do its observations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.envs.protocol import Env
from jaxes.rl import normalizer as norm
from jaxes.rl.policies import Policy

ACTION_ID = 1  # the key of an episode's actions, beside what the reset makes of the episode's key


class Episodes(NamedTuple):
    """What came of them; m members, e episodes each."""

    returns: jax.Array  # float32[m, e]
    lengths: jax.Array  # int32[m, e]: steps
    truncated: jax.Array  # bool[m, e]: ended by the time limit, not by the environment
    moments: Any  # sums of the observations, or () without a normalizer


class _Lanes(NamedTuple):
    env: Any  # EnvState, leaves [m * e, ...]
    memory: Any  # the policy's, leaves [m * e, ...]
    returns: jax.Array  # float32[m * e]
    lengths: jax.Array  # int32[m * e]
    truncated: jax.Array  # bool[m * e]
    alive: jax.Array  # bool[m * e]
    moments: Any


def play(
    env: Env,
    policy: Policy,
    params: Any,
    keys: jax.Array,
    normalizer: norm.Normalizer | None,
    max_steps: jax.Array | int,
    *,
    probe: jax.Array | None = None,
    training: bool = False,
    check_every: int = 25,
) -> Episodes:
    """Play `e` episodes of each of `m` members.

    Args:
        params: the members, leaves [m, ...].
        keys: key[m, e]: of the environments' resets.
        normalizer: used as it is, for all steps; None to give the policy raw observations.
        max_steps: time limit, int32[] (may be traced).
        probe: key[]: of one reset more, whose observation centers the moments, so the same for all members of a
            generation; None for no moments.
        training: give a random policy a key for each action, made of the lane's own key and the step.
        check_every: steps between two looks at whether all episodes have ended.
    """
    m, e = keys.shape
    flat = lambda tree: jax.tree.map(lambda x: x.reshape(m * e, *x.shape[2:]), tree)
    deep = lambda tree: jax.tree.map(lambda x: x.reshape(m, e, *x.shape[1:]), tree)
    one_member = jax.vmap(policy.act, in_axes=(None, 0, 0, 0))
    act_key = jax.vmap(lambda key, t: jax.random.fold_in(jax.random.fold_in(key, ACTION_ID), t))
    see = (lambda observation: observation) if normalizer is None else jax.vmap(norm.normalizing(normalizer))
    keys, moments = keys.reshape(m * e), ()
    if normalizer is None or probe is None:
        first = jax.vmap(env.reset)(keys)
    else:
        # One lane more instead of a reset of its own, which would have to be compiled once more.
        more = jax.vmap(env.reset)(jnp.concatenate([keys, probe[None]]))
        first = jax.tree.map(lambda x: x[:-1], more)
        moments = norm.no_moments(normalizer, jax.tree.map(lambda x: x[-1], more.observation))

    def step(lanes: _Lanes, _):
        seen, moments = lanes.env.observation, lanes.moments
        if moments:
            moments = norm.observe(moments, seen, lanes.alive)
        noise = deep(act_key(keys, lanes.lengths)) if training and policy.random else None
        action, memory = flat(jax.vmap(one_member)(params, deep(lanes.memory), deep(see(seen)), noise))
        state = jax.vmap(env.step)(lanes.env, action)
        lengths = lanes.lengths + lanes.alive.astype(jnp.int32)
        returns = lanes.returns + jnp.where(lanes.alive, state.reward, 0)
        going = lanes.alive & ~state.done
        alive = going & (lengths < max_steps)
        truncated = lanes.truncated | (going & ~alive)
        return _Lanes(state, memory, returns, lengths, truncated, alive, moments), None

    def short_scan(lanes):
        return lax.scan(step, lanes, length=check_every)[0]

    start = _Lanes(
        env=first,
        memory=jax.tree.map(lambda x: jnp.repeat(x, e, axis=0), jax.vmap(policy.start)(params)),
        returns=jnp.zeros(m * e, jnp.float32),
        lengths=jnp.zeros(m * e, jnp.int32),
        truncated=jnp.zeros(m * e, bool),
        alive=jnp.ones(m * e, bool),
        moments=moments,
    )
    end = lax.while_loop(lambda lanes: jnp.any(lanes.alive), short_scan, start)
    returns, lengths, truncated = deep((end.returns, end.lengths, end.truncated))
    return Episodes(returns, lengths, truncated, end.moments)
