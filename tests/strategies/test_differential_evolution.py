"""differential_evolution: against its reference and SciPy, and how it picks others and crosses over."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from population_steps import (
    DIMENSION,
    START,
    Case,
    ellipsoid,
    evaluations,
    first_normals,
    ours,
    reaches_the_target,
    step_by_step,
)
from programs import quick
from references.differential_evolution import Reference
from scipy import optimize

import jaxes
from jaxes.strategies.differential_evolution import crossed, distinct
from jaxes.strategies.parts import populations


def differential_noise(state, ids, strategy, others):
    size = ids.size
    u = jax.random.uniform(populations.choice_keys(state, jnp.array([size]))[0], (), jnp.float64)

    def one(i, key):
        pick, cross = jax.random.split(key)
        return jnp.stack(distinct(pick, i, size, others)), crossed(cross, state.recombination, strategy, START)

    own = populations.choice_keys(state, ids)
    return first_normals(state, ids), *jax.vmap(one)(ids, own), state.mutation + u * state.dither


def differential(strategy, others, generations=60, target=0.1):
    noise = functools.partial(differential_noise, strategy=strategy[-3:], others=others)
    made = jaxes.differential_evolution(20, 1.0, strategy=strategy)
    return Case(functools.partial(Reference, strategy=strategy), made, 1.0, noise, generations, target)


CASES = {
    "best1bin": differential("best1bin", 2),
    "rand1exp": differential("rand1exp", 3),
    "randtobest1bin": differential("randtobest1bin", 3),
    "currenttobest1exp": differential("currenttobest1exp", 2),
    "best2bin": differential("best2bin", 4),
    "rand2exp": differential("rand2exp", 5, target=1.0),
}
RARE = ("randtobest1bin", "currenttobest1exp", "best2bin", "rand2exp")  # share their parts with others
every = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in RARE else name for name in CASES]
)


@every
def test_step_by_step(name):
    step_by_step(CASES[name])


@every
def test_reaches_the_target_as_the_reference_does(name):
    reaches_the_target(CASES[name])


def test_needs_as_many_evaluations_as_scipys():
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
    mine = [evaluations(values, case.target) for values in ours(CASES["best1bin"]).values]
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


def test_strategy():
    with pytest.raises(ValueError, match="unknown strategy 'best1'; did you mean best1"):
        jaxes.differential_evolution(8, strategy="best1")


def test_population_for_the_strategy():
    with pytest.raises(ValueError, match="population_size must be 6 or more for rand2exp, got 5"):
        jaxes.differential_evolution(5, strategy="rand2exp")


def test_unknown_number():
    with pytest.raises(TypeError, match="unknown number 'momentum'; it takes sigma"):
        jaxes.differential_evolution(8).init(jax.random.key(0), jnp.zeros(2), momentum=0.9)


def test_a_number_without_effect_stays_finite():
    """It spreads without end, because nothing selects it; the number that has an effect is found."""
    strategy = jaxes.differential_evolution(12, 1.0)
    step = jaxes.generation(strategy, jaxes.problem(lambda x: -((x[0] - 3) ** 2)))

    @quick
    def end():
        return jax.lax.scan(step, (strategy.init(jax.random.key(0), jnp.ones(2)), ()), length=3000)[0][0]

    state = end()
    assert jnp.isfinite(state.population).all() and jnp.isfinite(state.sigma) and state.sigma > 1e10
    np.testing.assert_allclose(strategy.recommend(state)[0], 3, rtol=1e-6)
    assert jnp.isfinite(strategy.ask(state)).all()
