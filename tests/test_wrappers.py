"""Strategies around strategies."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import quick

import jaxes
from jaxes import wrappers
from jaxes.termination import REASONS
from jaxes.wrappers.bounded import _reflected, _smooth, _smooth_inverse
from jaxes.wrappers.reevaluated import uncertainty

KEY = jax.random.key(3)


def sphere(x):
    return -jnp.sum(x**2)


def everywhere(x):
    return jnp.concatenate([jnp.linspace(-30, 30, 2001, dtype=jnp.float32), x])


WRAPPED = {
    "keep_best": lambda inner: wrappers.keep_best(inner),
    "bounded": lambda inner: wrappers.bounded(inner, -1.5, 1.5),
    "bounded, smooth": lambda inner: wrappers.bounded(inner, -1.5, jnp.inf, method="smooth"),
    "reevaluated": lambda inner: wrappers.reevaluated(inner, 3),
    "reevaluated, adaptive": lambda inner: wrappers.reevaluated(inner, 4, adaptive=True),
    "integer": lambda inner: wrappers.integer(inner, {"layer": False, "scale": True}),
    "restarted": lambda inner: wrappers.restarted(inner),
    "ipop": lambda inner: wrappers.restarted(
        lambda size: jaxes.snes(size, 0.1), population_size=4, growth="ipop", doublings=1
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "ipop" else name for name in WRAPPED]
)
def test_a_wrapped_strategy_keeps_the_contract(name):
    """Subsets, state trees that do not change, NaN, scan = loop, vmap, no second compilation."""
    from table import facts, numbers_of, objective, tree

    strategy = WRAPPED[name](jaxes.snes(8, 0.1))
    size = strategy.population_size
    state = quick(lambda: strategy.init(KEY, tree()))()
    ask, tell, evaluate = quick(strategy.ask), quick(strategy.tell), quick(jax.vmap(objective))
    members = ask(state, jnp.arange(size))
    whole = jax.eval_shape(strategy.ask, state)
    assert jax.tree.map(jnp.shape, members) == jax.tree.map(jnp.shape, whole)
    assert jax.tree.leaves(members)[0].shape[0] == size
    ids = jnp.arange(size)[::-1].at[0].set(1)
    for some, every in zip(numbers_of(ask(state, ids)), numbers_of(members), strict=True):
        np.testing.assert_allclose(some, every[np.asarray(ids)], rtol=1e-6, atol=1e-7)
    fitness = evaluate(members).at[0].set(jnp.nan)
    later, info = tell(state, fitness)
    assert facts(later) == facts(state)
    assert info.invalid <= 1
    flat, _ = tell(later, fitness * jnp.nan)
    assert all(np.isfinite(x).all() for x in numbers_of(strategy.recommend(flat)))
    assert tell._cache_size() == 1
    step = jaxes.generation(strategy, jaxes.problem(objective))
    scan = quick(lambda carry: jax.lax.scan(step, carry, length=3)[0])
    whole = scan((state, ()))[0]
    loop = state
    for _ in range(3):
        loop, _ = tell(loop, evaluate(ask(loop, jnp.arange(size))))
    for a, b in zip(numbers_of(whole), numbers_of(loop), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    states = jax.eval_shape(jax.vmap(lambda key: strategy.init(key, tree())), jax.random.split(KEY, 2))
    jax.eval_shape(jax.vmap(strategy.tell), states, jnp.zeros((2, size)))


def test_keep_best_is_the_best_of_all():
    strategy = wrappers.keep_best(jaxes.snes(8, 0.5))
    state, infos = jaxes.run(strategy, sphere, strategy.init(KEY, jnp.ones(3)), generations=30)
    assert state.best_fitness == infos.best.max()
    np.testing.assert_allclose(sphere(strategy.recommend(state)), state.best_fitness, rtol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(-2.0, 3.0), (-np.inf, 3.0), (-2.0, np.inf), (-np.inf, np.inf), (0.0, 1e-3)])
def test_maps_into_bounds(low, high):
    """Into the box, the identity inside (away from the margin where smooth), continuous, with an exact inverse."""
    x = everywhere(jnp.array([1e6, -1e6, low, high]).clip(-1e30, 1e30))
    a, b = jnp.full_like(x, low), jnp.full_like(x, high)
    for into in (_reflected, _smooth):
        y = into(x, a, b)
        assert jnp.all((y >= low) & (y <= high))
    inside = (x >= low) & (x <= high)
    np.testing.assert_array_equal(_reflected(x, a, b)[inside], x[inside])
    box = x[inside]
    back = _smooth(_smooth_inverse(box, a[inside], b[inside]), a[inside], b[inside])
    np.testing.assert_allclose(back, box, rtol=1e-5, atol=1e-5)


def test_the_smooth_map_has_no_kink_and_units_of_x():
    x = jnp.linspace(-4.0, 5.0, 4001)
    slope = jax.vmap(jax.grad(_smooth), (0, None, None))(x, jnp.float32(-2), jnp.float32(3))
    assert jnp.max(jnp.abs(jnp.diff(slope))) < 0.05
    middle = (x > -1.5) & (x < 2.5)
    assert jnp.all(slope[middle] == 1)


@pytest.mark.parametrize("method", ["reflect", "smooth"])
def test_bounded_finds_the_corner(method):
    strategy = wrappers.bounded(jaxes.cma_es(8, 0.5), jnp.array([1.0, -9.0, 0.5]), 4.0, method=method)
    state = strategy.init(KEY, jnp.array([2.0, 1.0, 3.0]))
    state, _ = jaxes.run(strategy, sphere, state, generations=80)
    np.testing.assert_allclose(strategy.recommend(state), [1.0, 0.0, 0.5], atol=2e-3)


def test_reevaluated_tells_the_mean_of_what_is_valid():
    seen = []
    inner = jaxes.snes(2, 0.1)
    spy = inner._replace(tell=lambda state, fitness: (seen.append(fitness), inner.tell(state, fitness))[1])
    strategy = wrappers.reevaluated(spy, 3)
    state = strategy.init(KEY, jnp.zeros(2))
    strategy.tell(state, jnp.array([1.0, 2.0, jnp.nan, jnp.nan, jnp.nan, jnp.nan]))
    np.testing.assert_array_equal(seen[0], [1.5, jnp.nan])


def test_uncertainty_tells_noise_from_none():
    rng = np.random.default_rng(0)
    values = jnp.asarray(rng.normal(size=20), jnp.float32)
    noise = jnp.asarray(rng.normal(size=(2, 20)), jnp.float32)
    assert uncertainty(values, values + 1e-6 * noise[0]) < 0 < uncertainty(noise[0], noise[1])


def test_adaptive_reevaluation_uses_more_evaluations_where_there_is_noise():
    strategy = wrappers.reevaluated(jaxes.cma_es(8, 0.3), 8, adaptive=True)
    tell, ask = quick(strategy.tell), quick(strategy.ask)
    used = {}
    for noise in (0.0, 100.0):
        state = strategy.init(KEY, jnp.ones(4))
        for t in range(10):
            fitness = jax.vmap(sphere)(ask(state)) + noise * jax.random.normal(jax.random.key(t), (64,))
            state, _ = tell(state, fitness)
        used[noise] = float(state.evaluations), float(state.inner.sigma)
    assert used[0.0][0] == 2 and used[100.0][0] == 8
    assert used[100.0][1] > used[0.0][1]


def test_integers_do_not_freeze():
    """A plain rounded search stops on the slope of (x - 40)^2 near its start; with the margin it arrives."""
    target = jnp.array([40.0, -17.0, 5.0, 0.0])
    objective = lambda x: -jnp.sum(jnp.array([1.0, 10.0, 100.0, 1e3]) * (jnp.round(x) - target) ** 2)
    strategy = wrappers.integer(jaxes.cma_es(10, 0.2))
    step = jaxes.generation(strategy, jaxes.problem(objective))

    @quick
    @jax.vmap
    def run(key):
        carry, _ = jax.lax.scan(step, (strategy.init(key, jnp.zeros(4)), ()), length=200)
        return strategy.recommend(carry[0])

    found = run(jax.random.split(KEY, 5))
    assert jnp.all(found == jnp.round(found))
    assert jnp.mean(jnp.all(found == target[None], axis=1)) >= 0.8, found


def test_the_margin_is_kept():
    from jax.scipy.stats import norm

    from jaxes.wrappers.integer import _corrected

    mean, deviation, scale = jnp.array([0.1, 3.45, -2.0]), jnp.full(3, 1e-3), jnp.ones(3)
    alpha = jnp.float32(0.05)
    moved, widened = _corrected(mean, deviation, scale, jnp.ones(3, bool), alpha)
    thresholds = jnp.ceil(mean - 0.5)
    stays = norm.cdf(thresholds + 0.5, moved, widened * deviation) - norm.cdf(
        thresholds - 0.5, moved, widened * deviation
    )
    assert jnp.all(1 - stays >= 0.05 * 0.99)
    assert jnp.all(jnp.round(moved) == jnp.round(mean))
    same = _corrected(mean, jnp.full(3, 2.0), scale, jnp.ones(3, bool), alpha)
    np.testing.assert_array_equal(same[0], mean)


def rastrigin(x):
    return -(10 * x.size + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x)))


@functools.lru_cache
def grown(growth):
    strategy = wrappers.restarted(lambda size: jaxes.cma_es(size, 2.0), population_size=6, growth=growth, doublings=2)
    step = jaxes.generation(strategy, jaxes.problem(rastrigin))

    @quick
    @jax.vmap
    def run(key):
        def body(carry, _):
            carry, _ = step(carry)
            state = carry[0]
            return carry, (state.runs, state.level, jnp.isfinite(state.allowed), state.inner.sigma)

        (state, _), seen = jax.lax.scan(body, (strategy.init(key, jnp.full(2, 4.0)), ()), length=1500)
        return state, seen

    return run(jax.random.split(KEY, 4))


@pytest.mark.parametrize("growth", [pytest.param("ipop", marks=pytest.mark.slow), "bipop"])
def test_restarts_with_growing_populations_find_the_lowest_valley(growth):
    state, (runs, level, small, _) = grown(growth)
    assert jnp.all(state.best_fitness > -1e-3), state.best_fitness
    assert jnp.all(state.runs >= 2)
    for i in range(4):
        began = np.flatnonzero(np.diff(np.asarray(runs[i])) > 0) + 1
        levels = np.asarray(level[i])[began]
        if growth == "ipop":
            assert levels.tolist() == [min(j + 1, 2) for j in range(len(levels))]
        else:
            assert levels[0] == 1 and not small[i][began[0]]
    if growth == "bipop":
        assert jnp.any(small) and jnp.any(~small)
    assert jnp.all(jnp.any(state.reasons, axis=1) | (growth == "bipop"))


def test_a_restart_begins_where_it_is_told():
    begin = lambda key, params: params + jax.random.uniform(key, params.shape, minval=5, maxval=6)
    strategy = wrappers.restarted(jaxes.cma_es(6, 0.1), begin=begin)
    tell = quick(strategy.tell)
    state = strategy.init(KEY, jnp.zeros(2))
    for _ in range(2):
        assert state.runs == 0
        state, _ = tell(state, jnp.zeros(6))  # flat twice
    assert state.runs == 1 and state.reasons[REASONS.index("flat")]
    assert jnp.all(state.inner.mean >= 5) and state.inner.sigma == jnp.float32(0.1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: wrappers.bounded(jaxes.snes(4), 0, 1, method="mirror"), ValueError, "'reflect' or 'smooth'"),
        (
            lambda: wrappers.bounded(jaxes.snes(4), 1.0, 0.0).init(KEY, jnp.ones(2)),
            ValueError,
            "low must be below high",
        ),
        (
            lambda: wrappers.bounded(jaxes.snes(4), 0.0, 1.0).init(KEY, jnp.array([0.5, 2.0])),
            ValueError,
            r"params\[1\] must start in \[0, 1\], got 2",
        ),
        (lambda: wrappers.bounded(jaxes.snes(4), jnp.zeros(3)).init(KEY, jnp.ones(2)), ValueError, "low must be"),
        (lambda: wrappers.reevaluated(jaxes.snes(4), 1), ValueError, "n must be an int of 2 or more, got 1"),
        (lambda: wrappers.restarted(jaxes.snes(4), growth="ipop"), TypeError, "a function from a population's size"),
        (lambda: wrappers.restarted(jaxes.snes, growth="ipop"), TypeError, "growth needs population_size"),
        (lambda: wrappers.restarted(jaxes.snes), TypeError, "must be a Strategy unless growth"),
        (lambda: wrappers.restarted(jaxes.snes, growth="up", population_size=4), ValueError, "'ipop', 'bipop' or None"),
        (
            lambda: wrappers.restarted(jaxes.snes, growth="ipop", population_size=4, doublings=0),
            ValueError,
            "doublings must be 1 or more",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
