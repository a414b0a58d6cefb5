"""Differential evolution: a member plus differences of others, crossed with the member that it may replace.

Storn, Price: "Differential Evolution - A Simple and Efficient Heuristic for Global Optimization over Continuous
Spaces", Journal of Global Optimization 11 (1997) 341-359. Variants have SciPy's names: base, differences, crossover.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import populations
from jaxes.strategies.parts.generations import advance, begin, most
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees

# How many other members a mutant is made of, and the mutant for x, from the best member b, others r and the factor f.
_MUTATIONS: dict[str, tuple[int, Callable]] = {
    "best1": (2, lambda x, b, r, f: b + f * (r[0] - r[1])),
    "rand1": (3, lambda x, b, r, f: r[0] + f * (r[1] - r[2])),
    "randtobest1": (3, lambda x, b, r, f: r[0] + f * (b - r[0]) + f * (r[1] - r[2])),
    "currenttobest1": (2, lambda x, b, r, f: x + f * (b - x + r[0] - r[1])),
    "best2": (4, lambda x, b, r, f: b + f * (r[0] + r[1] - r[2] - r[3])),
    "rand2": (5, lambda x, b, r, f: r[0] + f * (r[1] + r[2] - r[3] - r[4])),
}


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    sigma: jax.Array  # float[]: standard deviation of the population, at first the one that it is drawn with
    mutation: jax.Array  # float[]: F, the factor of the differences
    dither: jax.Array  # float[]: each generation's factor is between mutation and mutation + dither
    recombination: jax.Array  # float[]: CR, the chance of a number to come from the mutant
    population: Any  # leaves [population_size, *leaf.shape]
    fitness: jax.Array  # float[population_size]: the population's, -inf before any


@strategy_factory
def differential_evolution(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    strategy: str = "best1bin",
    mutation: Number = 0.5,
    dither: Number = 0.5,
    recombination: Number = 0.7,
    blocks: int = 1,
) -> Strategy:
    """Differential evolution, one generation at a time (SciPy's `updating="deferred"`).

    The state holds the population. At first its members are normal around the start, which is member 0 itself. The
    first generation is this population; later generations are trials: trial i replaces member i unless it is worse.

    Args:
        population_size: members, more than the strategy combines; 10 for each parameter is Storn and Price's advice.
        sigma: standard deviation of the first population, in units of the parameters; the differences between its
            members decide how far the search reaches.
        strategy: "best1", "rand1", "randtobest1", "currenttobest1", "best2" or "rand2", and "bin" (each number comes
            from the mutant by chance) or "exp" (a run of numbers does, in the order of the parameters' leaves).
        mutation: factor F of the differences; a number or an optax schedule.
        dither: width of the range above `mutation` that the factor is drawn from in each generation; a number or an
            optax schedule.
        recombination: chance CR that a number comes from the mutant, a number or an optax schedule; from 1 on all do.
        blocks: the population is evaluated and replaced in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `mutation`, `dither`, `recombination`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.differential_evolution(30, 1.0)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-8)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    checks.choice("strategy", strategy, [base + crossover for base in _MUTATIONS for crossover in ("bin", "exp")])
    others, mutant = _MUTATIONS[strategy[:-3]]
    if population_size <= others:
        raise ValueError(f"population_size must be {others + 1} or more for {strategy}, got {population_size}")
    numbers = {"sigma": sigma, "mutation": mutation, "dither": dither, "recombination": recombination}

    def init(key, params, **given) -> State:
        params = checks.params(params)
        fields = begin(key, params, numbers, given)
        population = populations.first(key, params, fields["sigma"], population_size)
        fitness = jnp.full(population_size, -jnp.inf, trees.number_dtype(params))
        return State(population=population, fitness=fitness, **fields)

    def make(state, ids):
        """The first population, or trials."""
        best = populations.take(state.population, populations.leader(state.fitness))
        # The factor is the same for all members: an id beyond the population draws it.
        u = jax.random.uniform(populations.choice_keys(state, jnp.array([population_size]))[0], (), state.fitness.dtype)
        factor = state.mutation + u * state.dither

        def trial(i, key):
            pick, cross = jax.random.split(key)
            x = populations.take(state.population, i)
            r = [populations.take(state.population, j) for j in distinct(pick, i, population_size, others)]
            wide = lambda tree: jax.tree.map(lambda leaf: leaf.astype(factor.dtype), tree)
            v = jax.tree.map(lambda x, b, *r: mutant(x, b, r, factor), *map(wide, (x, best, *r)))
            mask = crossed(cross, state.recombination, strategy[-3:], x)
            return jax.tree.map(
                lambda m, new, old: jnp.where(m & _held(new, old), new.astype(old.dtype), old), mask, v, x
            )

        trials = jax.vmap(trial)(ids, populations.choice_keys(state, ids))
        return trees.where(state.step == 0, populations.take(state.population, ids), trials)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, _ = checks.fitness(fitness, population_size, state.fitness.dtype)
        better = fitness >= state.fitness  # false for NaN

        def block(part):
            old = populations.take(state.population, part.ids)
            return populations.choose(part.of(better), make(state, part.ids), old), ()

        population, _ = over_blocks(block, population_size, blocks)
        some = ~jnp.all(jnp.isnan(fitness))
        fields = {
            "population": population,
            "fitness": jnp.where(better, fitness, state.fitness),
            "sigma": jnp.where(some, populations.dispersion(population), state.sigma),
        }
        new = advance(state, numbers, fields)
        return new, summarize(fitness, recommend(state), recommend(new), state.sigma)

    def recommend(state):
        return populations.take(state.population, populations.leader(state.fitness))

    return Strategy(init, ask, tell, recommend, population_size, blocks)


def distinct(key: jax.Array, i: jax.Array, size: int, count: int) -> list[jax.Array]:
    """`count` ids below `size`, all different and none of them `i`: each is drawn from the ids that are left."""
    taken, out = i[None].astype(jnp.int32), []
    for one in jax.random.split(key, count):
        r = jax.random.randint(one, (), 0, size - taken.size, jnp.int32)
        for k in range(taken.size):  # in increasing order: step over each that is not larger
            r = r + (r >= taken[k]).astype(jnp.int32)
        taken = jnp.sort(jnp.append(taken, r))
        out.append(r)
    return out


def _held(new: jax.Array, old: jax.Array) -> jax.Array:
    """Where a mutant's number is within the range of a search.

    A number that no fitness depends on spreads without end; beyond the range, the old one stays.
    """
    return jnp.abs(new) <= 0.99 * most(old.dtype)  # as the parameter's dtype rounds it


def crossed(key: jax.Array, chance: jax.Array, crossover: str, like: Any) -> Any:
    """A tree of booleans: which numbers come from the mutant, at least one."""
    n = trees.size(like)
    leaves, tree = jax.tree.flatten(like)
    first, rest = jax.random.split(key)
    start_at = jax.random.randint(first, (), 0, n, jnp.int32)
    ends = np.cumsum([x.size for x in leaves])
    places = [
        jnp.arange(end - x.size, end, dtype=jnp.int32).reshape(x.shape) for x, end in zip(leaves, ends, strict=True)
    ]
    if crossover == "bin":
        keys = jax.random.split(rest, len(leaves))
        chosen = [jax.random.uniform(k, p.shape, chance.dtype) < chance for k, p in zip(keys, places, strict=True)]
        return tree.unflatten([c | (p == start_at) for c, p in zip(chosen, places, strict=True)])
    # A run of length L: P(L > k) = chance^k, at most n.
    u = 1 - jax.random.uniform(rest, (), chance.dtype)
    longest = jnp.floor(jnp.log(u) / jnp.log(jnp.minimum(chance, 1)))
    length = jnp.where(chance >= 1, n, 1 + jnp.minimum(longest, n).astype(jnp.int32))
    return tree.unflatten([(p - start_at) % n < length for p in places])
