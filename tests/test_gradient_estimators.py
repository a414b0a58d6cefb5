"""Strategies that estimate a gradient: against transcriptions of their papers, and against exact gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from references import pgpe as pgpe_reference

import jaxes
from jaxes.noise import gaussian
from jaxes.strategy import generation_key

KEY = jax.random.key(5)
N = 6
START = np.linspace(0.5, 1.5, N)
ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))[0]
SCALES = np.logspace(0, 2, N)


def ellipsoid(x):
    """Of condition 100, rotated; lower is better."""
    return SCALES @ (ROTATION @ x) ** 2


def sphere(x):
    return x @ x


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def normals(state, units):
    """float64[units, n]: the noise of the state's generation."""
    return np.asarray(gaussian().sample(generation_key(state), jnp.arange(units), state.mean))


def step_by_step(strategy, reference, units, generations=25, noise=normals, rtol=1e-6, same=None, init=None):
    """Both do the same with the same noise; returns ours."""
    state = strategy.init(KEY, jnp.asarray(START), **(init or {}))
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    for _ in range(generations):
        candidates = reference.ask(noise(state, units))
        np.testing.assert_allclose(ask(state), candidates, rtol=rtol, atol=1e-9)
        values = np.array([ellipsoid(x) for x in candidates])
        reference.tell(values)
        state, _ = tell(state, -values)
        np.testing.assert_allclose(strategy.recommend(state), reference.mean, rtol=rtol, atol=1e-9)
        if same is not None:
            same(state, reference)
    return state


def evaluations(strategy, target, most, function=sphere, init=None, seeds=5):
    """The median over seeds of our evaluations until the mean is below the target; inf if it never is."""
    step = jaxes.generation(strategy, jaxes.problem(jaxes.minimize(function)))

    @jax.jit
    @jax.vmap
    def run(key):
        def one(carry, _):
            carry, _ = step(carry)
            return carry, function(strategy.recommend(carry[0]))

        state = strategy.init(key, jnp.asarray(START, jnp.float32), **(init or {}))
        return jax.lax.scan(one, (state, ()), length=most)[1]

    reached = np.asarray(run(jax.random.split(KEY, seeds))) <= target
    first = np.where(reached.any(1), reached.argmax(1) + 1, np.inf)
    return np.median(first) * strategy.population_size


def reference_evaluations(make, population_size, target, most, function=sphere, seeds=5):
    """The same for a reference with its own random numbers."""
    counts = []
    for seed in range(seeds):
        rng, reference = np.random.default_rng(seed), make()
        generations = 0
        while generations < most and function(reference.mean) > target:
            reference.tell(np.array([function(x) for x in reference.ask(reference.noise(rng))]))
            generations += 1
        counts.append(generations * population_size if function(reference.mean) <= target else np.inf)
    return np.median(counts)


def assert_alike(ours, theirs, factor=1.25):
    print(f"evaluations: ours {ours:.0f}, reference {theirs:.0f}")
    assert np.isfinite(theirs) and theirs / factor <= ours <= theirs * factor, (ours, theirs)


SLOPE = np.linspace(-1, 2, N)
LINEAR = lambda x: jnp.dot(jnp.asarray(SLOPE, x.dtype), x)
QUADRATIC = lambda x: -jnp.sum(jnp.asarray(SCALES[:N] * 0.1, x.dtype) * x**2)


def estimates(strategy, function, repeats=2000, state=None):
    """float[repeats, n]: ascent directions of independent generations; for a strategy with `tx=optax.sgd(1.0)`."""
    state = strategy.init(KEY, jnp.asarray(START, jnp.float32)) if state is None else state

    @jax.jit
    @jax.vmap
    def one(key):
        mine = state._replace(key=key)
        return strategy.tell(mine, jax.vmap(function)(strategy.ask(mine)))[0].mean - mine.mean

    return np.asarray(one(jax.random.split(KEY, repeats)), np.float64)


def assert_unbiased(found, exact):
    """Within three standard errors in nearly every coordinate, as the chi-squared test of all of them says."""
    error = found.mean(0) - exact
    spread = found.std(0) / np.sqrt(len(found))
    assert np.all(np.abs(error) < 4 * spread) and np.mean((error / spread) ** 2) < 3, error / spread


def gradient(function):
    return np.asarray(jax.grad(function)(jnp.asarray(START, jnp.float32)), np.float64)


SGD = optax.sgd(1.0)
identity = jaxes.shaping.identity


class TestClipUp:
    def test_is_the_papers(self):
        """Algorithm 1 in NumPy, with a gradient that changes, over a tree."""
        tx = jaxes.clip_up(0.3, step_size=0.2, momentum=0.8)
        rng, velocity = np.random.default_rng(0), np.zeros(5)
        params = {"a": jnp.zeros(2), "b": jnp.zeros(3)}
        state, clipped = tx.init(params), 0
        for t in range(12):
            g = rng.standard_normal(5) * 10.0**t * 1e-6 + 1e-6
            velocity = 0.8 * velocity - 0.2 * g / np.linalg.norm(g)
            if np.linalg.norm(velocity) > 0.3:
                velocity, clipped = 0.3 * velocity / np.linalg.norm(velocity), clipped + 1
            update, state = tx.update({"a": jnp.float32(g[:2]), "b": jnp.float32(g[2:])}, state)
            np.testing.assert_allclose(np.concatenate([update["a"], update["b"]]), velocity, rtol=1e-5)
        assert 0 < clipped < 12

    def test_keeps_dtypes_and_survives_extremes(self):
        params = {"a": jnp.zeros(2, jnp.bfloat16), "b": jnp.zeros((), jnp.float32)}
        tx = jaxes.clip_up(0.5)
        state = tx.init(params)
        for size in (0.0, 1e-30, 1e30):
            update, state = tx.update(jax.tree.map(lambda x, s=size: jnp.full_like(x, s), params), state)
            assert jax.tree.map(jnp.result_type, update) == jax.tree.map(jnp.result_type, params)
            length = float(jnp.sqrt(jnp.sum(update["a"].astype(jnp.float32) ** 2) + update["b"] ** 2))
            assert length == 0 if size == 0 else 0.2 < length < 0.51

    def test_inject_hyperparams(self):
        tx = optax.inject_hyperparams(jaxes.clip_up)(max_speed=0.5)
        state = tx.init(jnp.zeros(2))
        state.hyperparams["max_speed"] = jnp.float32(0.1)
        update, _ = jax.jit(tx.update)(jnp.ones(2), state)
        np.testing.assert_allclose(jnp.linalg.norm(update), 0.05, rtol=1e-5)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="max_speed must be above 0, got 0"):
            jaxes.clip_up(0.0)
        with pytest.raises(ValueError, match="step_size must be above 0, got -1"):
            jaxes.clip_up(1.0, step_size=-1.0)
        with pytest.raises(ValueError, match="momentum must be below 1, got 1"):
            jaxes.clip_up(1.0, momentum=1.0)


class TestPGPE:
    def test_step_by_step(self, x64):
        def same(state, reference):
            np.testing.assert_allclose(state.sigma, reference.stdev, rtol=1e-6)

        step_by_step(
            jaxes.pgpe(12, 0.3, sigma_learning_rate=0.4),
            pgpe_reference.Reference(START, 0.3, 12, alpha_sigma=0.4),
            6,
            same=same,
        )

    def test_unbiased(self):
        """sigma^2 times the gradient: exactly so for a linear and for a quadratic function."""
        for function in (LINEAR, QUADRATIC):
            strategy = jaxes.pgpe(8, 0.5, tx=SGD, shaping=identity(), sigma_learning_rate=0.0)
            assert_unbiased(estimates(strategy, function), 0.25 * gradient(function))

    def test_gradient_of_sigma(self):
        """For sum a x^2 the derivative by sigma_i is 2 a_i sigma_i; times sigma_i^2 that is the expected change.

        The baseline takes the part 1/pairs of its own pair away.
        """
        pairs = 8
        strategy = jaxes.pgpe(2 * pairs, 0.5, tx=SGD, shaping=identity(), sigma_change=0.999, sigma_learning_rate=1e-4)
        state = strategy.init(KEY, jnp.zeros(N))

        @jax.jit
        @jax.vmap
        def one(key):
            mine = state._replace(key=key)
            return (strategy.tell(mine, jax.vmap(QUADRATIC)(strategy.ask(mine)))[0].sigma - 0.5) / 1e-4

        exact = -2 * SCALES * 0.1 * 0.5**3 * (1 - 1 / pairs)
        assert_unbiased(np.asarray(one(jax.random.split(KEY, 4000)), np.float64), exact)

    def test_sphere(self):
        ours = evaluations(jaxes.pgpe(20, 0.3), 0.01, 300)
        assert_alike(ours, reference_evaluations(lambda: pgpe_reference.Reference(START, 0.3, 20), 20, 0.01, 300))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="sigma_change must be below 1, got 1"):
            jaxes.pgpe(8, sigma_change=1.0)
        with pytest.raises(ValueError, match="sigma_change must be below 1, got 2"):
            jaxes.pgpe(8).init(KEY, jnp.ones(2), sigma_change=2.0)
