"""The compiled parts of a player as StableHLO (`jax.export`), which can be sent to other processes and machines.

A member is drawn where it is played, from the strategy's state and its id; noise is never sent.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxes import lowrank
from jaxes.envs.protocol import Env
from jaxes.rl import normalizer as norm
from jaxes.rl.policies.policy import Policy
from jaxes.support import keys


class Program(NamedTuple):
    """The functions that a player runs; they take and give flat lists of arrays."""

    enter: bytes
    """(strategy's state, params, memory, lanes int32[s], ids int32[s], count int32[]) -> (params, memory): the first
    `count` of these members are put on their lanes; params and memory are donated"""
    common: bytes
    """(strategy's state) -> the parameters that members of low rank share"""
    act: bytes
    """(params, common, memory, observations, normalizer, keys uint32[lanes, words], episode int32[lanes],
    t int32[lanes]) -> (actions [lanes, ...], memory)"""
    params: list[tuple[tuple[int, ...], Any]]  # shapes and dtypes, with an axis of lanes in front
    memory: list[tuple[tuple[int, ...], Any]]
    observation: list[tuple[tuple[int, ...], Any]]
    lanes: int
    at_once: int  # members that enter in one call


def pack(tree: Any) -> list[np.ndarray]:
    """The leaves of a tree as NumPy arrays; random keys become the words they consist of."""
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return [np.asarray(jax.random.key_data(x) if is_key(x) else x) for x in map(jnp.asarray, jax.tree.leaves(tree))]


def make(
    env: Env, policy: Policy, ask: Callable, state: Any, normalizer: Any, key: jax.Array, lanes: int, training: bool
) -> Program:
    """Trace and export the functions of a player.

    Args:
        env: gives the observations.
        policy: what acts.
        ask: `ask(state, ids) -> members`, leaves [len(ids), ...].
        state: of the strategy; only its shapes and dtypes matter.
        normalizer: likewise, or None.
        key: of an episode; likewise.
        lanes: how many a player has.
        training: whether actions have noise.
    """
    at_once = max(1, lanes // 8)
    int32 = lambda *shape: jax.ShapeDtypeStruct(shape, np.int32)
    population = jax.eval_shape(ask, state, int32(lanes))
    members, matrices = lowrank.own(population), lowrank.common(population)
    memory = jax.eval_shape(lowrank.vmap(policy.start), population)
    observation = jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype), env.observation)

    def enter(state_leaves, params_leaves, memory_leaves, at, ids, count):
        asked = _unpack(state_leaves, state)

        def one(k, now):  # one member at a time: usually there is only one
            entering = ask(asked, ids[k][None])
            fresh = jax.tree.leaves((lowrank.own(entering), lowrank.vmap(policy.start)(entering)))
            return [x.at[at[k]].set(y[0]) for x, y in zip(now, fresh, strict=True)]

        after = jax.lax.fori_loop(0, count, one, [*params_leaves, *memory_leaves])
        return after[: len(params_leaves)], after[len(params_leaves) :]

    def common(state_leaves):
        return jax.tree.leaves(lowrank.common(ask(_unpack(state_leaves, state), jnp.zeros(1, jnp.int32))))

    def act(params_leaves, common_leaves, memory_leaves, seen_leaves, normalizer_leaves, key_data, episode, t):
        own, before = _unpack(params_leaves, members), _unpack(memory_leaves, memory)
        params = lowrank.whole(_unpack(common_leaves, matrices), own)
        seen = _unpack(seen_leaves, observation)
        if normalizer is not None:
            seen = jax.vmap(norm.normalizing(_unpack(normalizer_leaves, normalizer)))(seen)

        def action_key(data, episode, t):
            own = jax.random.wrap_key_data(data, impl=str(jax.random.key_impl(key)))
            return keys.of_action(keys.of_episode(own, episode), t)

        own_keys = jax.vmap(action_key)(key_data, episode, t) if training and policy.random else None
        actions, after = lowrank.vmap(policy.act)(params, before, seen, own_keys)
        return actions, jax.tree.leaves(after)

    def exported(function, *args):
        return bytes(export.export(jax.jit(function), platforms=["cpu"])(*args).serialize())

    params_leaves, memory_leaves = _shapes(members), _shapes(memory)
    words = jax.ShapeDtypeStruct((lanes, *jax.random.key_data(key).shape), np.uint32)
    some, each = int32(at_once), int32(lanes)
    return Program(
        exported(enter, _shapes(state), params_leaves, memory_leaves, some, some, int32()),
        exported(common, _shapes(state)),
        exported(
            act,
            params_leaves,
            _shapes(matrices),
            memory_leaves,
            _shapes(observation),
            _shapes(normalizer),
            words,
            each,
            each,
        ),
        [(x.shape, x.dtype) for x in params_leaves],
        [(x.shape, x.dtype) for x in memory_leaves],
        [(x.shape, x.dtype) for x in _shapes(observation)],
        lanes,
        at_once,
    )


def load(exported: bytes, donated: tuple[int, ...] = ()) -> Callable[..., Any]:
    """Compile an exported function in the calling process; `donated` are the arguments that it may overwrite."""
    return jax.jit(export.deserialize(bytearray(exported)).call, donate_argnums=donated)


def _shapes(tree: Any) -> list[jax.ShapeDtypeStruct]:
    """The shapes and dtypes of the arrays that `pack` gives."""
    return [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in jax.eval_shape(lambda: _unkeyed(tree))]


def _unkeyed(tree: Any) -> list[jax.Array]:
    blank = [jnp.broadcast_to(_zero(x), x.shape) for x in jax.tree.leaves(tree)]
    return [jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in blank]


def _zero(like: Any) -> jax.Array:
    if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jax.random.key(0, impl=_impl(like))
    return jnp.zeros((), like.dtype)


def _impl(like: Any) -> str:
    return str(jax.random.key_impl(like)) if isinstance(like, jax.Array) else like.dtype._impl.name


def _unpack(leaves: Any, like: Any) -> Any:
    """The inverse of `pack` for traced arrays: a tree like `like`."""
    shapes, tree = jax.tree.flatten(like)
    wrapped = [
        jax.random.wrap_key_data(x, impl=_impl(shape)) if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key) else x
        for x, shape in zip(leaves, shapes, strict=True)
    ]
    return tree.unflatten(wrapped)
