"""Begin again when a search has ended, with larger (IPOP) or alternately larger and smaller (BIPOP) populations.

Auger & Hansen: "A Restart CMA Evolution Strategy With Increasing Population Size", CEC 2005 (IPOP). Hansen:
"Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed", GECCO 2009 (BIPOP).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxes import termination
from jaxes.lowrank.population import materialize
from jaxes.strategies.parts.members import as_array, read_ids
from jaxes.strategies.parts.populations import leader
from jaxes.strategy import Strategy, no_strategy, strategy_factory
from jaxes.support import checks, keys, trees
from jaxes.support.keys import Stream
from jaxes.support.labels import plain
from jaxes.support.vectors import is_vector
from jaxes.termination import Monitor, Tolerances
from jaxes.wrappers.inside import deviations, has_sigma, with_sigma_times
from jaxes.wrappers.layers import has


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told, over all runs
    inner: Any  # state of the current run
    monitor: Monitor  # what its stopping criteria remember
    tolerances: Tolerances  # thresholds of the criteria
    params: Any  # where the first run began
    numbers: Any  # {name: float[], or a tree}: what init was given for the strategy inside
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any
    runs: jax.Array  # int32[]: restarts so far
    level: jax.Array  # int32[]: this run has population_size * 2**level members
    grown: jax.Array  # int32[]: the level of the newest run of the growing regime
    spent: jax.Array  # float[2]: evaluations of the growing and of the small regime
    allowed: jax.Array  # float[]: evaluations left to this run; infinite outside the small regime
    reasons: jax.Array  # bool[len(termination.REASONS)]: why the run before this one ended


@strategy_factory
def restarted(
    strategy: Strategy | Callable[[int], Strategy],
    *,
    population_size: int | None = None,
    growth: Literal["ipop", "bipop"] | None = None,
    doublings: int = 4,
    tolerances: Tolerances | None = None,
    begin: Callable[[jax.Array, Any], Any] | None = None,
) -> Strategy:
    """The same strategy, which begins again when a criterion of `jaxes.termination` is met; it keeps the best member.

    All runs are one program for `jit`, `scan` and `vmap`. If populations grow, every generation has as many members as
    the largest one: members beyond the current size are copies whose fitness is ignored. `jaxes.minimize_function` is a
    loop on the host, which wastes no evaluation.

    Args:
        strategy: the strategy to restart; with `growth` a function from a population size to a strategy.
        population_size: members of the first run; with `growth` only.
        growth: "ipop" doubles the population with every restart; "bipop" does so in one regime, and in another one
            spends as many evaluations on runs with small populations and small steps.
        doublings: the largest population is `population_size * 2**doublings`; later runs keep it.
        tolerances: thresholds of the criteria.
        begin: `begin(key, params) -> params`: where a run begins; the first parameters by default.

    Numbers that `init` takes: the numbers of the strategy inside.

    Raises:
        TypeError: if `growth` and `strategy`, or `growth` and `population_size`, do not go together; at `init`, if the
            shapes of the strategy's state depend on the population's size, or "bipop" finds no step size in it.
        ValueError: for an unknown `growth`, less than one doubling, or a strategy that restarts already.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.wrappers.restarted(
    ...     lambda size: jaxes.cma_es(size, 3.0), population_size=8, growth="ipop", doublings=1)
    >>> strategy.population_size
    16
    >>> rastrigin = lambda x: 10 * x.size + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))
    >>> state = strategy.init(jax.random.key(0), jnp.full(2, 3.0))
    >>> state, _ = jaxes.run(strategy, jaxes.minimize(rastrigin), state, generations=300)
    >>> int(state.runs) > 0, bool(state.best_fitness > -1)
    (True, True)
    """
    parts = _parts(strategy, population_size, growth, doublings)
    if any(has(part, "restarted") for part in parts):
        raise ValueError("strategy restarts already; give one restarted(...) the growth and the tolerances of both")
    sizes = [part.population_size for part in parts]
    largest, most = max(sizes), len(sizes) - 1
    thresholds = Tolerances() if tolerances is None else tolerances
    start_at = (lambda key, params: params) if begin is None else begin

    def init(key, params, **given) -> State:
        params, dtype = checks.params(params), trees.number_dtype(params)
        inner = plain(parts[0].init(checks.key(key), params, **given))
        if growth is not None:
            _check_shapes(inner, parts, key, params, given)
        if growth == "bipop" and not has_sigma(inner):
            raise TypeError("growth='bipop' needs a strategy whose state has a sigma, for runs with small steps")
        return State(
            key=key,
            step=jnp.int32(0),
            inner=inner,
            monitor=termination.start(params, sizes[0]),
            tolerances=jax.tree.map(lambda x: jnp.asarray(x, dtype), thresholds),
            params=params,
            numbers=jax.tree.map(lambda x: jnp.asarray(x, dtype), given, is_leaf=is_vector),
            best=parts[0].recommend(inner),
            best_fitness=jnp.full((), -jnp.inf, dtype),
            runs=jnp.int32(0),
            level=jnp.int32(0),
            grown=jnp.int32(0),
            spent=jnp.zeros(2, dtype),
            allowed=jnp.full((), jnp.inf, dtype),
            reasons=jnp.zeros(len(termination.REASONS), bool),
        )

    def ask(state, ids=None):
        if most == 0:
            return parts[0].ask(state.inner, ids)
        ids = as_array(read_ids(ids, largest))
        branches = [lambda part=part: part.ask(state.inner, ids % part.population_size) for part in parts]
        return jax.lax.switch(state.level, branches)

    def tell(state, fitness, **how):
        dtype = state.best_fitness.dtype
        values, order = checks.fitness(fitness, largest, dtype)
        given: Any = values if order is values else checks.wider(fitness, largest, dtype)
        told = [lambda part=part: _told(part, state, given[: part.population_size], how) for part in parts]
        inner, info, monitor, met, winner, value = jax.lax.switch(state.level, told)
        better = value > state.best_fitness  # false for NaN
        member = jax.tree.map(lambda x: x[0], materialize(ask(state, winner[None])))
        best, best_fitness = trees.where(better, (member, value), (state.best, state.best_fitness))
        evaluations = jnp.asarray(sizes, jnp.int32)[state.level].astype(value.dtype)
        small = jnp.isfinite(state.allowed)
        spent = state.spent.at[small.astype(jnp.int32)].add(evaluations)
        allowed = state.allowed - evaluations
        state = state._replace(
            step=state.step + 1,
            inner=inner,
            monitor=monitor,
            best=best,
            best_fitness=best_fitness,
            spent=spent,
            allowed=allowed,
        )
        over = jnp.any(met) | (allowed <= 0)
        return jax.lax.cond(over, again, lambda state, _: state, state, met), info

    def again(state, met):
        runs = state.runs + 1
        key = jax.random.fold_in(keys.stream(state.key, Stream.RESTART), runs)
        begin_key, regime_key, run_key = jax.random.split(key, 3)
        level, grown, allowed, factor = _next_regime(state, regime_key, growth, most)

        def begun(part):
            return plain(part.init(run_key, start_at(begin_key, state.params), **state.numbers))

        inner = jax.lax.switch(level, [lambda part=part: begun(part) for part in parts])
        if growth == "bipop":
            inner = with_sigma_times(factor, inner)
        return state._replace(
            inner=inner,
            monitor=termination.start(state.params, sizes[0]),
            runs=runs,
            level=level,
            grown=grown,
            allowed=allowed,
            reasons=met,
        )

    recommend = lambda state: state.best
    return Strategy(init, ask, tell, recommend, largest, parts[0].blocks, deviations=deviations(parts[0]))


def _parts(strategy, population_size, growth, doublings):
    """The strategies of the runs, by level."""
    if growth is None:
        if not isinstance(strategy, Strategy):
            raise TypeError(f"strategy must be a Strategy unless growth is given, such as {no_strategy(strategy)}")
        return [strategy]
    checks.one_of("growth", growth, ("ipop", "bipop", None))
    if isinstance(strategy, Strategy) or not callable(strategy):
        raise TypeError("with growth, strategy must be a function from a population's size to a Strategy")
    if population_size is None:
        raise TypeError("growth needs population_size, the size of the first run's population")
    if not checks.is_integer(doublings):
        raise ValueError(f"doublings must be 1 or more, got {doublings!r}")
    checks.population_size(population_size)
    parts = [strategy(population_size * 2**level) for level in range(doublings + 1)]
    if not all(isinstance(part, Strategy) for part in parts):
        raise TypeError(f"strategy must return a Strategy for a population's size, got {parts[0]!r}")
    return parts


def _check_shapes(inner, parts, key, params, given) -> None:
    """Raise if the strategies' states do not have the shapes of the first one's."""
    shapes = lambda state: jax.tree.map(lambda x: (x.shape, x.dtype), state)
    for part in parts[1:]:
        if shapes(jax.eval_shape(lambda part=part: plain(part.init(key, params, **given)))) != shapes(inner):
            raise TypeError(
                "growth needs a strategy whose state has the same shapes for every population's size; this one keeps "
                "its population; jaxes.minimize_function(restarts=...) takes any"
            )


def _told(part, state, fitness, how):
    """One generation of `part`, and what the criteria say of it."""
    population = materialize(part.ask(state.inner))
    values, order = checks.fitness(fitness, part.population_size, state.best_fitness.dtype)
    inner, info = part.tell(state.inner, fitness, **how)
    deviations = None if part.deviations is None else part.deviations(inner)
    monitor, met = termination.watch(
        state.monitor, state.tolerances, deviations, population, part.recommend(inner), order
    )
    winner = leader(order)
    return inner, info, monitor, met, winner, values[winner]


def _next_regime(state, key, growth, most):
    """The next run's level, the growing regime's level, its allowance, and a factor of its sigma."""
    dtype = state.spent.dtype
    unlimited, one = jnp.full((), jnp.inf, dtype), jnp.ones((), dtype)
    larger = jnp.minimum(state.grown + 1, most)
    if growth is None:
        return state.level, state.grown, unlimited, one
    if growth == "ipop":
        return larger, larger, unlimited, one
    small = (state.spent[1] < state.spent[0]) & (state.runs > 0)
    u, v = jax.random.uniform(key, (2,), dtype)
    # lambda_s = lambda (lambda_l / (2 lambda))^(u^2), here to the nearest doubling; sigma_s = sigma 10^(-2 v).
    low = jnp.round((state.grown.astype(dtype) - 1) * u**2).astype(jnp.int32)
    level = jnp.where(small, jnp.maximum(low, 0), larger)
    grown = jnp.where(small, state.grown, larger)
    allowed = jnp.where(small, jnp.maximum(state.spent[0] * 0.5, 1), jnp.inf)
    return level, grown, allowed, jnp.where(small, 10 ** (-2 * v), one)
