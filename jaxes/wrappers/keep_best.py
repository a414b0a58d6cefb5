"""Remember the best member of all generations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.lowrank.population import materialize
from jaxes.strategies.parts.populations import leader
from jaxes.strategy import Strategy, checked, strategy_factory
from jaxes.support import checks, trees
from jaxes.wrappers.inside import Inside, deviations


class _Fields(NamedTuple):
    inner: Any  # state of the strategy inside
    best: Any  # the best member so far; what the strategy inside recommends before any
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


class State(_Fields, Inside):
    __slots__ = ()


@strategy_factory
def keep_best(strategy: Strategy) -> Strategy:
    """The same strategy, but it recommends the best member of all generations.

    With noisy fitness that is the luckiest member rather than the best one.

    Args:
        strategy: any. The wrapper's state has `best`, a tree like the parameters, and `best_fitness`, float[], which is
            -inf before any generation.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.wrappers.keep_best(jaxes.cma_es(8, 0.5))
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=20)
    >>> bool(state.best_fitness == infos.best.max())
    True
    """

    checked(strategy)

    def init(key, params, **numbers) -> State:
        params = checks.params(params)
        none = jnp.full((), -jnp.inf, trees.number_dtype(params))
        inner = strategy.init(key, params, **numbers)
        return State(inner, strategy.recommend(inner), none)

    def tell(state, fitness, **how):
        values, order = checks.fitness(fitness, strategy.population_size, state.best_fitness.dtype)
        inner, info = strategy.tell(state.inner, values if order is values else fitness, **how)
        winner = leader(order)
        value = values[winner]
        better = value > state.best_fitness  # false for NaN
        member = jax.tree.map(lambda x: x[0], materialize(strategy.ask(state.inner, winner[None])))
        best, value = trees.where(better, (member, value), (state.best, state.best_fitness))
        return State(inner, best, value), info

    ask = lambda state, ids=None: strategy.ask(state.inner, ids)
    return Strategy(
        init,
        ask,
        tell,
        lambda state: state.best,
        strategy.population_size,
        strategy.blocks,
        deviations=deviations(strategy),
    )
