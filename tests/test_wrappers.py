"""Strategies around strategies."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import quick

import jaxes
from jaxes import wrappers
from jaxes.termination import REASONS, Tolerances
from jaxes.wrappers import boxes
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
    for into in (boxes.reflected, boxes.smooth):
        y = into(x, a, b)
        assert jnp.all((y >= low) & (y <= high))
    inside = (x >= low) & (x <= high)
    np.testing.assert_array_equal(boxes.reflected(x, a, b)[inside], x[inside])
    box = x[inside]
    back = boxes.smooth(boxes.unsmooth(box, a[inside], b[inside]), a[inside], b[inside])
    np.testing.assert_allclose(back, box, rtol=1e-5, atol=1e-5)


def test_the_smooth_map_has_no_kink_and_units_of_x():
    x = jnp.linspace(-4.0, 5.0, 4001)
    slope = jax.vmap(jax.grad(boxes.smooth), (0, None, None))(x, jnp.float32(-2), jnp.float32(3))
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


def test_where_all_is_noise_sigma_grows_up_to_a_limit():
    strategy = wrappers.reevaluated(jaxes.cma_es(8, 0.3), 4, adaptive=True)

    @quick
    def end():
        step = lambda state, key: (strategy.tell(state, jax.random.normal(key, (32,)))[0], None)
        start = strategy.init(KEY, jnp.ones(3))
        return jax.lax.scan(step, start, jax.random.split(jax.random.key(1), 1000))[0]

    state = end()
    assert 1e8 < state.inner.sigma < 1e14 and jnp.isfinite(strategy.recommend(state)).all()


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

    mean, deviation, scale = jnp.array([0.1, 3.45, -2.0]), jnp.full(3, 1e-3), jnp.array([1.0, 0.5, 2.0])
    alpha = jnp.float32(0.05)
    point, widened = _corrected(mean / scale, deviation, scale, jnp.ones(3, bool), alpha)
    moved = point * widened
    thresholds = jnp.ceil(mean - 0.5)
    stays = norm.cdf(thresholds + 0.5, moved, widened * deviation) - norm.cdf(
        thresholds - 0.5, moved, widened * deviation
    )
    assert jnp.all(1 - stays >= 0.05 * 0.99)
    assert jnp.all(jnp.round(moved) == jnp.round(mean))
    same = _corrected(mean, jnp.full(3, 2.0), jnp.ones(3), jnp.ones(3, bool), alpha)
    np.testing.assert_array_equal(same[0], mean)


@pytest.mark.parametrize("order", ["bounded outside", "integer outside", "keep_best between"])
def test_whole_numbers_within_bounds_in_either_order(order):
    """Every value that is evaluated is whole and inside, at bounds that are no whole numbers too; all are reached."""
    core = jaxes.cma_es(12, 2.0)
    low, high = jnp.array([0.0, -1.5, -jnp.inf]), jnp.array([2.7, 3.0, 4.2])
    strategy = {
        "bounded outside": lambda: wrappers.bounded(wrappers.integer(core), low, high),
        "integer outside": lambda: wrappers.integer(wrappers.bounded(core, low, high)),
        "keep_best between": lambda: wrappers.bounded(wrappers.keep_best(wrappers.integer(core)), low, high),
    }[order]()

    @quick
    def run(state):
        def step(state, _):
            members = strategy.ask(state)
            state, _ = strategy.tell(state, -jnp.sum((members - jnp.array([9.0, -9.0, 3.0])[None]) ** 2, axis=1))
            return state, (members, strategy.recommend(state))

        return jax.lax.scan(step, state, length=40)[1]

    for x in map(np.asarray, run(strategy.init(KEY, jnp.array([2.6, 0.0, 1.0])))):
        assert (x == np.round(x)).all()
        assert (x >= np.asarray(low)).all() and (x <= np.asarray(high)).all()
    np.testing.assert_array_equal(x[-1], [2, -1, 3])


def test_rounded_gives_every_whole_number_an_equal_part():
    x = jnp.linspace(-9.5, 6.5, 1600, endpoint=False) + 0.005
    found = np.asarray(boxes.rounded(x, jnp.float32(-1.2), jnp.float32(2.9)))
    assert np.unique(found, return_counts=True)[1].tolist() == [400, 400, 400, 400]
    inside = (x > -1.5) & (x < 2.5)
    np.testing.assert_array_equal(found[inside], jnp.round(x)[inside])


MIXED = np.array([True, True, True, False, False])
OPTIMUM = np.array([7.0, -12.0, 3.0, 0.5, 1.2345])


def coupled(x):
    d = np.asarray(x) - OPTIMUM
    return float(np.sum(10.0 ** np.arange(4, -1, -1) * d**2) + np.sum(d) ** 2)


@pytest.mark.parametrize("bounds", [{}, {"bounds": (-20, 20)}])
def test_three_whole_and_two_real_numbers_are_found(bounds):
    """From five seeds, in no more evaluations than pycma takes (1162 to 1456)."""
    evaluations = []
    for seed in range(5):
        result = jaxes.minimize_function(
            coupled,
            np.zeros(5),
            2.0,
            target=1e-9,
            budget=5000,
            seed=seed,
            verbose=0,
            strategy=lambda size, sigma: wrappers.integer(jaxes.cma_es(size, sigma), MIXED),
            **bounds,
        )
        assert result.stop == "target", result
        np.testing.assert_array_equal(result.x[:3], OPTIMUM[:3])
        evaluations.append(result.nfev)
    assert np.median(evaluations) < 1300, evaluations


# Each turns a function from a population's size to a strategy into another one.
LAYERS = {
    "bounded": lambda make: lambda size: wrappers.bounded(make(size), -1.5, 1.5),
    "integer": lambda make: lambda size: wrappers.integer(make(size), {"layer": False, "scale": True}),
    "keep_best": lambda make: lambda size: wrappers.keep_best(make(size)),
    "reevaluated": lambda make: lambda size: wrappers.reevaluated(make(size), 2),
    "adaptive": lambda make: lambda size: wrappers.reevaluated(make(size), 3, adaptive=True),
    "restarted": lambda make: lambda size: wrappers.restarted(make(size), tolerances=Tolerances(fun=1e3)),
    "ipop": lambda make: lambda size: wrappers.restarted(make, population_size=size, growth="ipop", doublings=1),
    "bipop": lambda make: lambda size: wrappers.restarted(make, population_size=size, growth="bipop", doublings=1),
}
PAIRS = list(itertools.product(LAYERS, repeat=2))
TRIPLES = list(itertools.product([name for name in LAYERS if name not in ("reevaluated", "bipop")], repeat=3))
QUICK = [("bounded", "ipop"), ("integer", "adaptive"), ("bipop", "bounded"), ("adaptive", "restarted")]


def stacked(names):
    """The layers around snes, the first name outermost."""
    make = lambda size: jaxes.snes(size, 0.5)
    for name in reversed(names):
        make = LAYERS[name](make)
    return make


def works(names):
    """Init with bounds in trees, ask, tell, run and recommend: whole numbers where wanted, within bounds."""
    plays(stacked(names)(4), "bounded" in names, "integer" in names)


@functools.lru_cache
def plays(strategy, is_bounded, is_integer):
    from table import facts, objective, tree

    numbers, low, high = {}, -jnp.inf, jnp.inf
    if is_bounded:
        low, high = -1.25, 1.25
        numbers = {"low": {"layer": {"kernel": low}, "scale": low}, "high": {"layer": high, "scale": high}}
    params = tree()
    step = jaxes.generation(strategy, jaxes.problem(objective))

    @quick
    def play():
        state = strategy.init(KEY, params, sigma=0.4, **numbers)
        (later, _), infos = jax.lax.scan(step, (state, ()), length=12)
        seen = [strategy.ask(state), strategy.ask(later), jax.tree.map(lambda x: x[None], strategy.recommend(later))]
        return state, later, infos, seen

    state, later, infos, seen = play()
    assert facts(later) == facts(state)
    assert jnp.isfinite(infos.best).all() and infos.best.max() > infos.best[0]
    members = jax.tree.leaves(seen[0])[0]
    assert members.shape[0] == strategy.population_size
    for population in seen:
        assert all(jnp.all((x >= low) & (x <= high)) for x in jax.tree.leaves(population))
        if is_integer:
            assert jnp.all(population["scale"] == jnp.round(population["scale"]))
            assert not jnp.all(population["layer"]["kernel"] == jnp.round(population["layer"]["kernel"]))


REPEATED = {
    "bounded": "strategy has bounds already; give one bounded",
    "integer": "strategy has whole numbers already; tell one integer",
    "restarted": "strategy restarts already; give one restarted",
}


def twice(names):
    """What is said of these layers: of kinds that stand among them twice."""
    kinds = [name if name in REPEATED or name not in ("ipop", "bipop") else "restarted" for name in names]
    return "|".join(message for kind, message in REPEATED.items() if kinds.count(kind) > 1)


@pytest.mark.parametrize(
    "names",
    [pytest.param(x, marks=() if x in QUICK else pytest.mark.slow) for x in PAIRS if not twice(x)],
    ids="-".join,
)
def test_pairs(names):
    works(names)


@pytest.mark.slow
@pytest.mark.parametrize("names", [x for x in TRIPLES if not twice(x)], ids="-".join)
def test_triples(names):
    works(names)


@pytest.mark.parametrize("names", [x for x in [*PAIRS, *TRIPLES] if twice(x)], ids="-".join)
def test_what_makes_no_sense_twice_is_refused(names):
    with pytest.raises(ValueError, match=twice(names)):
        stacked(names)(4)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(x, marks=() if x in QUICK[:2] else pytest.mark.slow)
        for x in [*((name,) for name in LAYERS), *PAIRS]
        if not twice(x) and "bounded" not in x
    ],
    ids="-".join,
)
def test_wrapped_strategies_in_minimize_function(names):
    seen = []

    def f(x):
        seen.append(x["scale"])
        return float(np.sum((np.asarray(x["layer"]) - 0.3) ** 2) + (x["scale"] - 2) ** 2)

    result = jaxes.minimize_function(
        f,
        {"layer": np.zeros(2), "scale": np.float64(0)},
        1.0,
        bounds=({"layer": [-1, -1], "scale": -4.5}, 5),
        population_size=8,
        budget=900,
        strategy=lambda size, sigma: stacked(names)(size),
        verbose=0,
    )
    assert result.nfev == len(seen) <= 900 and result.fun < 0.1, result
    assert min(seen) >= -4.5 and max(seen) <= 5
    if "integer" in names:
        assert all(x == round(float(x)) for x in seen)


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
        (lambda: wrappers.integer(jaxes.snes(4), [0, 2]), TypeError, r"which must hold booleans.*numpy\.isin"),
        (lambda: wrappers.integer(jaxes.snes(4), {"a": 1}), TypeError, r"which\['a'\] must hold booleans"),
        (
            lambda: wrappers.integer(jaxes.snes(4), [True, False]).init(KEY, jnp.zeros(3)),
            ValueError,
            "which must be True or False, or a prefix",
        ),
        (lambda: wrappers.integer(jaxes.particle_swarm(4)), TypeError, "strategy must be a Gaussian one"),
        (
            lambda: wrappers.bounded(wrappers.integer(jaxes.snes(4)), [0.2, 0], 0.8).init(KEY, jnp.full(2, 0.5)),
            ValueError,
            r"no whole number lies between low 0.2 and high 0.8 of params\[0\]",
        ),
        (lambda: jaxes.wrappers.integer(jaxes.snes(4)).init(KEY, jnp.ones(2), low=0.0), TypeError, "has no bounds"),
        (lambda: wrappers.bounded(jaxes.snes(4)).init(KEY, jnp.ones(2), margin=0.1), TypeError, "no whole numbers"),
        (
            lambda: wrappers.restarted(
                lambda size: jaxes.particle_swarm(size, 0.1), population_size=4, growth="ipop"
            ).init(KEY, jnp.ones(2)),
            TypeError,
            "growth needs a strategy whose state has the same shapes .*minimize_function",
        ),
        (lambda: wrappers.restarted(lambda size: size, population_size=4, growth="ipop"), TypeError, "got 4"),
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
