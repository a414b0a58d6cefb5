"""A strategy, an objective and a number of generations: the shortest way to an answer."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxes.problem import Problem, generation, problem
from jaxes.strategy import Info, Strategy, checked, is_state
from jaxes.support import checks


def run(strategy: Strategy, objective: Callable[[Any], jax.Array], state: Any, *, generations: int) -> tuple[Any, Info]:
    """Run a strategy on an objective, in one compiled `scan`.

    Args:
        strategy: the strategy.
        objective: one member -> scalar, higher is better (`jaxes.minimize` turns the sign). The same function object
            given again runs the same compiled program again.
        state: from `strategy.init`, or from an earlier `run`, which then goes on.
        generations: how many generations to run, 1 or more.

    Returns:
        The state, and the `Info` of all generations with leaves [generations].

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(32, 0.1, learning_rate=0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(infos.mean[-1] > -0.1)
    True
    """
    if isinstance(objective, Problem):
        raise TypeError("objective must be a function of one member, got a Problem; use jaxes.generation or jaxes.fit")
    checks.function("objective", objective, "one member")
    checks.integer("generations", generations, high=checks.LARGEST)
    checked(strategy)
    if not is_state(state):
        raise TypeError(f"state must come from strategy.init(key, params) or from an earlier run, got {type(state)}")
    return _run(strategy, objective, generations, state)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _run(strategy, objective, generations, state):
    carry, infos = jax.lax.scan(generation(strategy, problem(objective)), (state, ()), length=generations)
    return carry[0], infos
