"""Strategies that estimate a gradient: against transcriptions of their papers, and against exact gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from references import ars as ars_reference
from references import discovered_es as discovered_es_reference
from references import esmc as esmc_reference
from references import guided_es as guided_es_reference
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


class TestARS:
    @pytest.mark.parametrize("top", [None, 3])
    def test_step_by_step(self, top, x64):
        strategy = jaxes.ars(12, 0.1, top=top, learning_rate=0.05)
        step_by_step(strategy, ars_reference.Reference(START, 0.1, 12, alpha=0.05, b=top), 6)

    def test_does_not_see_the_scale(self):
        strategy = jaxes.ars(8)
        state = strategy.init(KEY, jnp.zeros(N))
        fitness = jax.random.normal(KEY, (8,))
        tell = jax.jit(strategy.tell)
        change = lambda scale: tell(state, fitness * scale)[0].mean
        for scale in (1e-30, 1e30):
            np.testing.assert_allclose(change(scale), change(1.0), rtol=1e-5, atol=1e-8)

    def test_a_lost_direction_is_not_used(self):
        """Without its third pair a generation of four is one of three."""
        small, large = jaxes.ars(6), jaxes.ars(8)
        fitness = jax.random.normal(KEY, (6,))
        state = large.init(KEY, jnp.zeros(N))
        lost, _ = jax.jit(large.tell)(state, jnp.concatenate([fitness, jnp.full(2, jnp.nan)]))
        kept, _ = jax.jit(small.tell)(small.init(KEY, jnp.zeros(N)), fitness)
        np.testing.assert_allclose(lost.mean, kept.mean, rtol=1e-4, atol=1e-7)

    def test_sphere(self):
        ours = evaluations(jaxes.ars(20, 0.1, top=5, learning_rate=0.05), 0.05, 300)
        make = lambda: ars_reference.Reference(START, 0.1, 20, alpha=0.05, b=5)
        assert_alike(ours, reference_evaluations(make, 20, 0.05, 300))

    @pytest.mark.parametrize("top", [0, 5, 2.0, True])
    def test_bad_input(self, top):
        with pytest.raises(ValueError, match="top must be an int from 1 to the number of directions 4"):
            jaxes.ars(8, top=top)


class TestESMC:
    def test_step_by_step(self, x64):
        strategy = jaxes.esmc(12, 0.3, learning_rate=0.05)
        step_by_step(strategy, esmc_reference.Reference(START, 0.3, 12, alpha=0.05), 6)

    def test_unbiased_where_linear(self):
        assert_unbiased(estimates(jaxes.esmc(8, 0.5, tx=SGD), LINEAR), gradient(LINEAR))

    def test_a_cliff_has_no_say(self):
        """Members over the edge count as the center, however deep it is."""
        strategy = jaxes.esmc(16, 0.5, tx=SGD)
        state = strategy.init(KEY, jnp.zeros(2))
        cliff = lambda depth: lambda x: jnp.where(x[0] > 0.2, -depth, x[1])
        told = jax.jit(lambda depth: strategy.tell(state, jax.vmap(cliff(depth))(strategy.ask(state)))[0].mean)
        np.testing.assert_array_equal(told(1e3), told(1e6))
        plain = jaxes.open_es(16, 0.5, tx=SGD, shaping=identity())
        first = plain.init(KEY, jnp.zeros(2))
        pushed = jax.jit(lambda: plain.tell(first, jax.vmap(cliff(1e6))(plain.ask(first)))[0].mean)()
        assert float(jnp.max(jnp.abs(pushed))) > 1e3 > 3 > float(jnp.max(jnp.abs(told(1e6))))

    def test_invalid_center(self):
        strategy = jaxes.esmc(8, 0.5, tx=SGD)
        state = strategy.init(KEY, jnp.zeros(2))
        fitness = jnp.arange(8.0)
        tell = jax.jit(strategy.tell)
        one, _ = tell(state, fitness.at[0].set(1).at[1].set(jnp.nan))
        same, _ = tell(state, fitness.at[0].set(1))
        np.testing.assert_allclose(one.mean, same.mean)

    def test_sphere(self):
        """Up to a distance of about sigma: nearer the optimum nobody is better than the center."""
        ours = evaluations(jaxes.esmc(20, 0.1, learning_rate=0.05), 0.05, 100)
        make = lambda: esmc_reference.Reference(START, 0.1, 20, alpha=0.05)
        assert_alike(ours, reference_evaluations(make, 20, 0.05, 100))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="population_size must be 4 or more for esmc"):
            jaxes.esmc(2)


class TestDiscoveredES:
    def test_step_by_step(self, x64):
        def same(state, reference):
            np.testing.assert_allclose(state.sigma, reference.sigma, rtol=1e-6)

        step_by_step(jaxes.discovered_es(12, 0.3), discovered_es_reference.Reference(START, 0.3, 12), 12, same=same)

    def test_sphere(self):
        ours = evaluations(jaxes.discovered_es(20, 0.3), 1e-4, 300)
        make = lambda: discovered_es_reference.Reference(START, 0.3, 20)
        assert_alike(ours, reference_evaluations(make, 20, 1e-4, 300))


def guided_noise(state, units):
    like = (state.basis[0], state.basis[:, 0])
    return tuple(np.asarray(x) for x in gaussian().sample(generation_key(state), jnp.arange(units), like))


class TestGuidedES:
    def test_step_by_step(self, x64):
        strategy = jaxes.guided_es(12, 0.1, alpha=0.3, tx=optax.sgd(1e-4))
        guides = np.asarray(strategy.init(KEY, jnp.asarray(START)).guides)
        reference = guided_es_reference.Reference(START, 0.1, 12, alpha=0.3, eta=1e-4, guides=guides)
        step_by_step(strategy, reference, 6, noise=guided_noise)

    def test_expectation(self):
        """beta (alpha / n I + (1 - alpha) / k U U^T) times the gradient, for linear and quadratic functions."""
        strategy = jaxes.guided_es(8, 0.5, tx=SGD, alpha=0.4, beta=1.5, surrogates="given")
        state = strategy.init(KEY, jnp.asarray(START, jnp.float32))
        for scale in (1.0, -3.0):
            state = jaxes.guide(state, scale * jnp.asarray(SLOPE, jnp.float32) + state.guides[0])
        basis = np.asarray(state.basis, np.float64)
        np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-6)
        covariance = 0.4 / N * np.eye(N) + 0.6 / 2 * basis.T @ basis
        for function in (LINEAR, QUADRATIC):
            assert_unbiased(estimates(strategy, function, state=state), 1.5 * covariance @ gradient(function))

    def test_a_good_guide_helps(self):
        """On a linear function of many parameters, the exact gradient as a guide makes the estimate far better."""
        n = 200
        strategy = jaxes.guided_es(8, 0.5, tx=SGD, subspace=1, surrogates="given")
        slope = jax.random.normal(KEY, (n,))
        plain = strategy.init(KEY, jnp.zeros(n))

        @jax.jit
        def cosine(state):
            step = strategy.tell(state, strategy.ask(state) @ slope)[0].mean
            return step @ slope / jnp.linalg.norm(step) / jnp.linalg.norm(slope)

        assert abs(cosine(plain)) < 0.3 and cosine(jaxes.guide(plain, slope)) > 0.7

    def test_guide(self):
        strategy = jaxes.guided_es(8, surrogates="given")
        state = strategy.init(KEY, {"a": jnp.zeros(2), "b": jnp.zeros(())})
        with pytest.raises(ValueError, match="gradient must have the parameters' shapes"):
            jaxes.guide(state, {"a": jnp.zeros(3), "b": jnp.zeros(())})
        for useless in (0.0, jnp.nan, jnp.inf):
            same = jaxes.guide(state, jax.tree.map(lambda x, u=useless: jnp.full_like(x, u), state.mean))
            np.testing.assert_array_equal(same.guides, state.guides)
            np.testing.assert_array_equal(same.basis, state.basis)
        after, _ = jax.jit(strategy.tell)(state, jnp.arange(8.0))
        np.testing.assert_array_equal(after.guides, state.guides)

    def test_sphere(self):
        strategy = jaxes.guided_es(20, 0.1, tx=optax.sgd(0.5))
        make = lambda: guided_es_reference.Reference(START, 0.1, 20, eta=0.5)
        assert_alike(evaluations(strategy, 1e-3, 300), reference_evaluations(make, 20, 1e-3, 300))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="subspace must be an int of 1 or more, got 0"):
            jaxes.guided_es(8, subspace=0)
        with pytest.raises(ValueError, match="subspace must be at most the number of parameters 2, got 3"):
            jaxes.guided_es(8, subspace=3).init(KEY, jnp.zeros(2))
        with pytest.raises(ValueError, match="surrogates must be 'past' or 'given', got 'future'"):
            jaxes.guided_es(8, surrogates="future")
        with pytest.raises(ValueError, match=r"alpha must be at most 1, got 1\.5"):
            jaxes.guided_es(8, alpha=1.5).init(KEY, jnp.zeros(2))
