"""The reference batch of virtual batch normalization: observations of a random policy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs import contract
from jaxes.envs.protocol import Box, Discrete, Env, MultiDiscrete
from jaxes.support import checks


def reference_batch(env: Env, key: jax.Array, size: int = 128, *, steps: int = 100) -> Any:
    """Observations collected by a uniformly random policy, each in an episode of its own.

    Args:
        env: its actions must have finite limits.
        key: for the episodes and the actions; the same key gives the same batch.
        size: how many observations.
        steps: each observation is drawn uniformly from the first `steps` of its episode.

    Returns:
        Raw observations, leaves [size, ...], for a policy whose observations are not normalized in another way.

    Raises:
        ValueError: if a number makes no sense, or actions have no finite limits.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> jax.eval_shape(lambda key: rl.reference_batch(env, key, size=8), jax.random.key(0)).shape
    (8, 5)
    """
    env = contract.checked(env)
    checks.count("size", size)
    checks.count("steps", steps)
    if isinstance(env.action, Box) and not np.isfinite([env.action.low, env.action.high]).all():
        raise ValueError(f"env must have actions with finite limits to draw them from; {env.name} has some without")
    steps = min(steps, env.max_steps)
    if env.lanes is not None:
        return _collect_on_cpus(env, key, size, steps)
    return jax.jit(lambda key: _collect(env, key, size, steps))(key)


def _collect(env: Env, key: jax.Array, size: int, steps: int) -> Any:
    starts, walks = jax.random.split(key)

    def step(carry, t):
        state, kept, alive = carry
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(walks, t), i))(jnp.arange(size))
        draws = jax.vmap(jax.random.split)(keys)
        # Reservoir sampling: the one seen as number t + 1 replaces the one kept with probability 1 / (t + 1).
        chance = jax.vmap(jax.random.uniform)(draws[:, 0])
        take = alive & (chance * (t + 1).astype(jnp.float32) < 1)
        choose = lambda new, old: jnp.where(take.reshape(size, *(1,) * (new.ndim - 1)), new, old)
        kept = jax.tree.map(choose, state.observation, kept)
        state = jax.vmap(env.step)(state, jax.vmap(lambda key: _random_action(env, key))(draws[:, 1]))
        return (state, kept, alive & ~state.done), None

    first = jax.vmap(env.reset)(jax.random.split(starts, size))
    carry = (first, first.observation, jnp.ones(size, bool))
    return jax.lax.scan(step, carry, jnp.arange(steps))[0][1]


def _collect_on_cpus(env: Env, key: jax.Array, size: int, steps: int) -> Any:
    lanes, lane = env.lanes(1), np.zeros(1, np.int64)  # pyrefly: ignore[not-callable]
    kept = []
    for seed in np.asarray(jax.random.bits(key, (size,), jnp.uint32)).tolist():
        chance = np.random.default_rng(seed).random()
        seen = _walk(env, lanes, lane, seed, int(chance * steps))
        if seen <= chance * steps:  # it ended before: an earlier moment of the same episode
            _walk(env, lanes, lane, seed, int(chance * seen))
        kept.append(jax.tree.map(lambda x: x[0].copy(), lanes.observations))
    return jax.tree.map(lambda like, *x: jnp.asarray(np.stack(x), like.dtype), env.observation, *kept)


def _walk(env: Env, lanes: Any, lane: np.ndarray, seed: int, steps: int) -> int:
    """Take random actions for `steps` steps, or until the episode ends; the number of observations seen."""
    lanes.reset(0, seed)
    random = np.random.default_rng([seed, 1])
    for t in range(steps):
        match env.action:
            case Discrete(n):
                action = random.integers(n, size=1)
            case MultiDiscrete(counts):
                action = random.integers(counts)[None]
            case Box(low, high):
                action = random.uniform(low, high, (1, *low.shape)).astype(np.float32)
        if lanes.step(lane, action)[1][0]:
            return t + 1
    return steps + 1


def _random_action(env: Env, key: jax.Array) -> jax.Array:
    match env.action:
        case Discrete(n):
            return jax.random.randint(key, (), 0, n, jnp.int32)
        case MultiDiscrete(counts):
            return jax.random.randint(key, (len(counts),), 0, jnp.array(counts, jnp.int32), jnp.int32)
        case Box(low, high):
            return jax.random.uniform(key, low.shape, jnp.float32, low, high)
