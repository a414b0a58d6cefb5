"""Strategies without a mean: against transcriptions of their papers, and what their members are made of."""

import functools
import importlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import quick
from scipy import optimize

import jaxes
from jaxes.noise import gaussian
from jaxes.strategies.differential_evolution import crossed, distinct
from jaxes.strategies.parts import genetic, populations
from jaxes.support import keys

DIMENSION = 5
START = np.linspace(0.5, 1.5, DIMENSION)
ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION)))[0]
SCALES = np.logspace(0, 1, DIMENSION)
SEEDS = 8


def ellipsoid(x):
    """Of condition 10, rotated; lower is better."""
    return SCALES @ (ROTATION @ x) ** 2


def normals(state, ids):
    return gaussian().sample(keys.of_generation(state), ids, START)


def first_normals(state, ids):
    """Those of the first population; later generations draw none."""
    return gaussian().sample(keys.stream(state.key, keys.Stream.POPULATION), ids, START)


def annealing_noise(state, ids):
    tiny = jnp.finfo(jnp.float64).tiny
    draw = lambda key: jax.random.uniform(key, (), jnp.float64, tiny)
    return normals(state, ids), jax.vmap(draw)(populations.choice_keys(state, ids))


def genetic_noise(state, ids):
    return normals(state, ids), *genetic.choices(state, ids), ()


def gesmr_noise(state, ids):
    return *genetic_noise(state, ids)[:3], tuple(genetic.choices(state, ids.size + jnp.arange(5), 2))


def differential_noise(state, ids, strategy, others):
    size = ids.size
    u = jax.random.uniform(populations.choice_keys(state, jnp.array([size]))[0], (), jnp.float64)

    def one(i, key):
        pick, cross = jax.random.split(key)
        return jnp.stack(distinct(pick, i, size, others)), crossed(cross, state.recombination, strategy, START)

    own = populations.choice_keys(state, ids)
    return first_normals(state, ids), *jax.vmap(one)(ids, own), state.mutation + u * state.dither


def swarm_noise(state, ids):
    draw = lambda key: jax.random.uniform(jax.random.split(key, 1)[0], (2, DIMENSION), jnp.float64)
    u = jax.vmap(draw)(populations.choice_keys(state, ids))
    return first_normals(state, ids), u[:, 0], u[:, 1]


class Case(NamedTuple):
    strategy: jaxes.Strategy
    start: float  # sigma
    options: dict[str, Any]  # of the reference
    noise: Any  # noise(state, ids) -> what the reference's `noise` gives
    generations: int
    target: float  # of the ellipsoid
    sigma: Any = None  # what of the reference is the state's sigma after a generation


def differential(strategy, others, generations=60, target=0.1):
    made = jaxes.differential_evolution(20, 1.0, strategy=strategy)
    noise = functools.partial(differential_noise, strategy=strategy[-3:], others=others)
    return Case(made, 1.0, {"strategy": strategy}, noise, generations, target)


CASES = {
    "random_search": Case(jaxes.random_search(20, 1.0), 1.0, {}, normals, 60, 2.0),
    "hill_climbing": Case(
        jaxes.hill_climbing(20, lambda t: 0.95 ** jnp.float64(t)),
        1.0,
        {"decay": 0.95},
        normals,
        100,
        1e-2,
        lambda r: r.sigma,
    ),
    "gradientless_descent": Case(jaxes.gradientless_descent(11, 1.0, ratio=2.0**-10), 1.0, {}, normals, 150, 1e-2),
    "simulated_annealing": Case(
        jaxes.simulated_annealing(20, 0.2, cooling=0.9), 0.2, {"cooling": 0.9}, annealing_noise, 60, 0.1
    ),
    "simple_ga": Case(jaxes.simple_ga(20, 0.2), 0.2, {}, genetic_noise, 60, 0.1, lambda r: r.sigma),
    "mr15_ga": Case(jaxes.mr15_ga(20, 0.3), 0.3, {}, genetic_noise, 100, 1e-3, lambda r: r.sigma),
    "samr_ga": Case(jaxes.samr_ga(20, 0.3), 0.3, {}, genetic_noise, 100, 1e-3, lambda r: [e[2] for e in r.elders]),
    "gesmr_ga": Case(jaxes.gesmr_ga(20, 0.3, groups=5), 0.3, {"K": 5}, gesmr_noise, 100, 1e-3, lambda r: r.MR),
    "particle_swarm": Case(jaxes.particle_swarm(20, 1.0), 1.0, {}, swarm_noise, 60, 1e-3, lambda r: r.x.std(0)),
    "best1bin": differential("best1bin", 2),
    "rand1exp": differential("rand1exp", 3),
    "randtobest1bin": differential("randtobest1bin", 3),
    "currenttobest1exp": differential("currenttobest1exp", 2),
    "best2bin": differential("best2bin", 4),
    "rand2exp": differential("rand2exp", 5, target=1.0),
}


class Run(NamedTuple):
    """Leaves [SEEDS, generations, ...]."""

    noise: Any
    members: Any
    values: Any
    recommended: Any
    sigma: Any


@functools.cache
def ours(name) -> Run:
    """All seeds at once, in f64: one program a strategy."""
    case = CASES[name]
    ids = jnp.arange(case.strategy.population_size, dtype=jnp.int32)

    def step(state, _):
        members = case.strategy.ask(state)
        values = jax.vmap(ellipsoid)(members)
        new, _ = case.strategy.tell(state, -values)
        return new, Run(case.noise(state, ids), members, values, case.strategy.recommend(new), new.sigma)

    def one(key):
        return jax.lax.scan(step, case.strategy.init(key, jnp.asarray(START)), length=case.generations)[1]

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(1), SEEDS)
        return jax.tree.map(np.asarray, quick(jax.vmap(one))(keys))


def reference(name):
    case = CASES[name]
    module = importlib.import_module(f"references.{'differential_evolution' if name[-3:] in ('bin', 'exp') else name}")
    return module.Reference(START, case.start, case.strategy.population_size, **case.options)


def evaluations(values, target):
    """Until the first candidate is below the target, or inf."""
    reached = np.flatnonzero(np.ravel(values) < target)
    return reached[0] + 1 if reached.size else np.inf


RARE = (
    "randtobest1bin",
    "currenttobest1exp",
    "best2bin",
    "rand2exp",
    "mr15_ga",
    "samr_ga",
)  # share their parts with others
cases = lambda names: [pytest.param(name, marks=pytest.mark.slow) if name in RARE else name for name in names]


@pytest.mark.parametrize("name", cases(CASES))
def test_step_by_step(name):
    run, theirs = ours(name), reference(name)
    for t in range(40):
        noise, members, values, recommended, sigma = jax.tree.map(lambda x, t=t: x[0, t], run)
        np.testing.assert_allclose(members, theirs.ask(noise), rtol=1e-7, atol=1e-10)
        theirs.tell(values)
        np.testing.assert_allclose(recommended, theirs.mean, rtol=1e-7, atol=1e-10)
        if name == "particle_swarm":
            spread = np.sqrt(((theirs.x - theirs.x.mean(0)) ** 2).mean())
            np.testing.assert_allclose(sigma, spread, rtol=1e-7)
        elif CASES[name].sigma is not None:
            np.testing.assert_allclose(sigma, CASES[name].sigma(theirs), rtol=1e-7)


def test_random_search_hits_as_often_as_the_reference_does():
    target, theirs, rng = CASES["random_search"].target, reference("random_search"), np.random.default_rng(7)
    theirs.tell(np.zeros(len(theirs.ask(theirs.noise(rng)))))
    share = np.mean([[ellipsoid(x) < target for x in theirs.ask(theirs.noise(rng))] for _ in range(1000)])
    values = ours("random_search").values
    assert abs(np.mean(values < target) - share) < 4 * (share / values.size) ** 0.5


@pytest.mark.parametrize("name", cases(name for name in CASES if name != "random_search"))
def test_reaches_the_target_as_the_reference_does(name):
    """Median evaluations over seeds, each with random numbers of its own."""
    case, run = CASES[name], ours(name)
    mine = [evaluations(values, case.target) for values in run.values]
    rng, theirs = np.random.default_rng(7), []
    for _ in range(SEEDS):
        other, seen = reference(name), []
        for _ in range(case.generations):
            values = np.array([ellipsoid(x) for x in other.ask(other.noise(rng))])
            other.tell(values)
            seen.append(values)
        theirs.append(evaluations(seen, case.target))
    assert np.median(mine) < 1.5 * np.median(theirs) < np.inf


def test_differential_evolution_needs_as_many_evaluations_as_scipys():
    case, theirs = CASES["best1bin"], []
    size = case.strategy.population_size
    for seed in range(15):
        rng, seen = np.random.default_rng(seed), []

        def function(x, seen=seen):
            seen.append(np.array([ellipsoid(one) for one in x.T]))
            return seen[-1]

        optimize.differential_evolution(
            function,
            [(-50, 50)] * DIMENSION,
            init=START + np.concatenate([np.zeros((1, DIMENSION)), rng.standard_normal((size - 1, DIMENSION))]),
            strategy="best1bin",
            maxiter=case.generations,
            mutation=(0.5, 1),
            recombination=0.7,
            updating="deferred",
            vectorized=True,
            polish=False,
            tol=0,
            atol=0,
            rng=rng,
        )
        theirs.append(evaluations(seen, case.target))
    mine = [evaluations(values, case.target) for values in ours("best1bin").values]
    assert 0.75 < np.median(mine) / np.median(theirs) < 1.25


def test_others_are_distinct_and_equally_likely():
    size, count = 6, 3
    keys = jax.random.split(jax.random.key(0), 3000)
    others = np.array(quick(jax.vmap(lambda key: jnp.stack(distinct(key, jnp.int32(2), size, count))))(keys))
    assert all(len({*row, 2}) == count + 1 for row in others)
    for column in others.T:
        share = np.bincount(column, minlength=size) / len(keys)
        # Three standard errors of a share of 1/5.
        np.testing.assert_allclose(share, [0.2, 0.2, 0, 0.2, 0.2, 0.2], atol=3 * (0.2 * 0.8 / len(keys)) ** 0.5)


def test_crossover():
    """How many numbers come from the mutant: 1 + binomial, or a geometric run from anywhere, cut off at n."""
    like = {"a": jnp.zeros(()), "b": jnp.zeros((2, 2))}
    keys = jax.random.split(jax.random.key(1), 4000)

    @functools.partial(quick, static_argnums=1)
    def masks(chance, crossover):
        mask = jax.vmap(lambda key: crossed(key, chance, crossover, like))(keys)
        return jnp.concatenate([mask["a"][:, None], mask["b"].reshape(-1, 4)], axis=1)

    chance = 0.6
    for crossover, want in (("bin", 1 + 4 * chance), ("exp", sum(chance**k for k in range(5)))):
        mask = np.asarray(masks(jnp.float32(chance), crossover))
        counts = mask.sum(1)
        assert counts.min() == 1 and counts.max() == 5
        assert abs(counts.mean() - want) < 3 * counts.std() / len(keys) ** 0.5
        # No place is more likely than another.
        np.testing.assert_allclose(mask.mean(0), want / 5, atol=4 * 0.5 / len(keys) ** 0.5)
        assert np.all(np.asarray(masks(jnp.float32(0), crossover)).sum(1) == 1)
        assert np.all(masks(jnp.float32(1), crossover))
    runs = np.asarray(masks(jnp.float32(chance), "exp")).astype(int)
    assert np.all(np.abs(runs - np.roll(runs, 1, axis=1)).sum(1) <= 2)


def test_annealing_accepts_by_the_metropolis_rule():
    """A loss of one temperature is accepted in 1 of e cases, two in 1 of e^2, a gain and a tie always."""
    strategy = jaxes.simulated_annealing(2, 0.1, temperature=2.0)
    state = strategy.init(jax.random.key(0), START.astype(np.float32))._replace(current_fitness=jnp.float32(3))

    @quick
    def accepted(loss):
        one = lambda key: strategy.tell(state._replace(key=key), jnp.stack([jnp.nan, 3 - loss]))[0].current_fitness
        return jnp.mean((jax.vmap(one)(jax.random.split(jax.random.key(1), 4000)) == 3 - loss).astype(jnp.float32))

    for loss, want in ((2.0, np.exp(-1)), (4.0, np.exp(-2))):
        assert abs(accepted(jnp.float32(loss)) - want) < 3 * (want / 4000) ** 0.5
    for loss, want in ((0.0, 1), (-1.0, 1), (np.inf, 0), (np.nan, 0)):
        assert accepted(jnp.float32(loss)) == want


def test_a_parent_stays_where_too_few_children_are_valid():
    strategy = jaxes.simple_ga(10, 0.1, elite_fraction=0.4)
    ask, tell = quick(strategy.ask), quick(strategy.tell)
    state, _ = tell(strategy.init(jax.random.key(0), jnp.zeros(2)), -jnp.arange(10.0))
    np.testing.assert_array_equal(state.fitness, [0, -1, -2, -3])
    members = ask(state)
    np.testing.assert_array_equal(members[0], state.elites[0])
    fitness = jnp.full(10, jnp.nan).at[jnp.array([7, 3])].set(jnp.array([-5.0, -4.0]))
    told, _ = tell(state, fitness)
    np.testing.assert_array_equal(told.fitness, [-4, -5, 0, -1])
    np.testing.assert_allclose(told.elites[:2], members[jnp.array([3, 7])], rtol=1e-6)
    np.testing.assert_array_equal(told.elites[2:], state.elites[:2])
    # The best ever is still the first.
    assert told.best_fitness == 0
    np.testing.assert_array_equal(strategy.recommend(told), jnp.zeros(2))


def test_step_sizes_stay_positive_and_finite():
    limits = jnp.finfo(jnp.float32)
    np.testing.assert_array_equal(genetic.within(jnp.array([0.0, 1.0, jnp.inf])), [limits.tiny, 1, limits.max])


class TestBadInput:
    @pytest.mark.parametrize("make", [jaxes.simple_ga, jaxes.mr15_ga, jaxes.samr_ga, jaxes.gesmr_ga])
    def test_elite_fraction(self, make):
        for fraction in (0, 1.5, "half"):
            with pytest.raises(ValueError, match=r"elite_fraction must be a number in \(0, 1\]"):
                make(8, elite_fraction=fraction)

    def test_groups(self):
        for groups in (3, 8, 0, "two"):
            with pytest.raises(ValueError, match=r"groups must be one of \[1, 2, 4\] for a population_size of 8"):
                jaxes.gesmr_ga(8, groups=groups)

    def test_strategy(self):
        with pytest.raises(ValueError, match="unknown strategy 'best1'; did you mean best1exp, best1bin"):
            jaxes.differential_evolution(8, strategy="best1")

    def test_population_for_the_strategy(self):
        with pytest.raises(ValueError, match="population_size must be 6 or more for rand2exp, got 5"):
            jaxes.differential_evolution(5, strategy="rand2exp")

    @pytest.mark.parametrize("make", [jaxes.differential_evolution, jaxes.particle_swarm])
    def test_unknown_number(self, make):
        with pytest.raises(TypeError, match="unknown number 'momentum'; it takes sigma"):
            make(8).init(jax.random.key(0), jnp.zeros(2), momentum=0.9)
