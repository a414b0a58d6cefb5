"""Strategies that estimate a gradient: against transcriptions of their papers, and against exact gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import quick
from references import ars as ars_reference
from references import asebo as asebo_reference
from references import discovered_es as discovered_es_reference
from references import esmc as esmc_reference
from references import guided_es as guided_es_reference
from references import pgpe as pgpe_reference
from references import sv_cma_es as sv_cma_es_reference
from references import sv_open_es as sv_open_es_reference
from references import unrolled as unrolled_reference

import jaxes
from jaxes.noise import gaussian
from jaxes.strategies.asebo import largest_axes
from jaxes.support import keys

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
    return np.asarray(gaussian().sample(keys.of_generation(state), jnp.arange(units), state.mean))


def step_by_step(strategy, reference, units, generations=25, noise=normals, rtol=1e-6, same=None, init=None):
    """Both do the same with the same noise; returns ours."""
    state = quick(lambda: strategy.init(KEY, jnp.asarray(START), **(init or {})))()
    ask, tell = quick(strategy.ask), quick(strategy.tell)
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

    @quick
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

BOTH = lambda x: LINEAR(x) + QUADRATIC(x)


def estimates(strategy, function, repeats=2000, state=None):
    """float[repeats, n]: ascent directions of independent generations; for a strategy with `tx=optax.sgd(1.0)`."""
    state = strategy.init(KEY, jnp.asarray(START, jnp.float32)) if state is None else state

    @quick
    @jax.vmap
    def one(key):
        mine = state._replace(key=key)
        return strategy.tell(mine, jax.vmap(function)(strategy.ask(mine)))[0].mean - mine.mean

    return np.asarray(one(jax.random.split(KEY, repeats)), np.float64)


def assert_unbiased(found, exact):
    """Within three standard errors in every coordinate."""
    error = found.mean(0) - exact
    spread = found.std(0) / np.sqrt(len(found))
    assert np.all(np.abs(error) < 3 * spread), error / spread


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
        state, clipped, step = tx.init(params), 0, quick(tx.update)
        for t in range(12):
            g = rng.standard_normal(5) * 10.0**t * 1e-6 + 1e-6
            velocity = 0.8 * velocity - 0.2 * g / np.linalg.norm(g)
            if np.linalg.norm(velocity) > 0.3:
                velocity, clipped = 0.3 * velocity / np.linalg.norm(velocity), clipped + 1
            update, state = step({"a": jnp.float32(g[:2]), "b": jnp.float32(g[2:])}, state)
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
        update, _ = quick(tx.update)(jnp.ones(2), state)
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
        """sigma^2 times the gradient: exactly so for a quadratic function with a slope."""
        strategy = jaxes.pgpe(8, 0.5, tx=SGD, shaping=identity(), sigma_learning_rate=0.0)
        assert_unbiased(estimates(strategy, BOTH), 0.25 * gradient(BOTH))

    def test_gradient_of_sigma(self):
        """For sum a x^2 the derivative by sigma_i is 2 a_i sigma_i; times sigma_i^2 that is the expected change.

        The baseline takes the part 1/pairs of its own pair away.
        """
        pairs = 8
        strategy = jaxes.pgpe(2 * pairs, 0.5, tx=SGD, shaping=identity(), sigma_change=0.999, sigma_learning_rate=1e-4)
        state = strategy.init(KEY, jnp.zeros(N))

        @quick
        @jax.vmap
        def one(key):
            mine = state._replace(key=key)
            return (strategy.tell(mine, jax.vmap(QUADRATIC)(strategy.ask(mine)))[0].sigma - 0.5) / 1e-4

        exact = -2 * SCALES * 0.1 * 0.5**3 * (1 - 1 / pairs)
        assert_unbiased(np.asarray(one(jax.random.split(KEY, 4000)), np.float64), exact)

    @pytest.mark.slow
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
        tell = quick(strategy.tell)
        change = lambda scale: tell(state, fitness * scale)[0].mean
        for scale in (1e-30, 1e30):
            np.testing.assert_allclose(change(scale), change(1.0), rtol=1e-5, atol=1e-8)

    def test_a_lost_direction_is_not_used(self):
        """Without its third pair a generation of four is one of three."""
        small, large = jaxes.ars(6), jaxes.ars(8)
        fitness = jax.random.normal(KEY, (6,))
        state = large.init(KEY, jnp.zeros(N))
        lost, _ = quick(large.tell)(state, jnp.concatenate([fitness, jnp.full(2, jnp.nan)]))
        kept, _ = quick(small.tell)(small.init(KEY, jnp.zeros(N)), fitness)
        np.testing.assert_allclose(lost.mean, kept.mean, rtol=1e-4, atol=1e-7)

    @pytest.mark.slow
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
        told = quick(lambda depth: strategy.tell(state, jax.vmap(cliff(depth))(strategy.ask(state)))[0].mean)
        np.testing.assert_array_equal(told(1e3), told(1e6))
        plain = jaxes.open_es(16, 0.5, tx=SGD, shaping=identity())
        first = plain.init(KEY, jnp.zeros(2))
        pushed = quick(lambda: plain.tell(first, jax.vmap(cliff(1e6))(plain.ask(first)))[0].mean)()
        assert float(jnp.max(jnp.abs(pushed))) > 1e3 > 3 > float(jnp.max(jnp.abs(told(1e6))))

    def test_invalid_center(self):
        strategy = jaxes.esmc(8, 0.5, tx=SGD)
        state = strategy.init(KEY, jnp.zeros(2))
        fitness = jnp.arange(8.0)
        tell = quick(strategy.tell)
        one, _ = tell(state, fitness.at[0].set(1).at[1].set(jnp.nan))
        same, _ = tell(state, fitness.at[0].set(1))
        np.testing.assert_allclose(one.mean, same.mean)

    @pytest.mark.slow
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

    @pytest.mark.slow
    def test_sphere(self):
        ours = evaluations(jaxes.discovered_es(20, 0.3), 1e-4, 300)
        make = lambda: discovered_es_reference.Reference(START, 0.3, 20)
        assert_alike(ours, reference_evaluations(make, 20, 1e-4, 300))


def guided_noise(state, units):
    like = (state.basis[0], state.basis[:, 0])
    return tuple(np.asarray(x) for x in gaussian().sample(keys.of_generation(state), jnp.arange(units), like))


class TestGuidedES:
    def test_step_by_step(self, x64):
        strategy = jaxes.guided_es(12, 0.1, alpha=0.3, tx=optax.sgd(1e-4))
        guides = np.asarray(strategy.init(KEY, jnp.asarray(START)).guides)
        reference = guided_es_reference.Reference(START, 0.1, 12, alpha=0.3, eta=1e-4, guides=guides)
        step_by_step(strategy, reference, 6, noise=guided_noise)

    def test_expectation(self):
        """beta (alpha / n I + (1 - alpha) / k U U^T) times the gradient, for a quadratic function with a slope."""
        strategy = jaxes.guided_es(8, 0.5, tx=SGD, alpha=0.4, beta=1.5, surrogates="given")
        state = strategy.init(KEY, jnp.asarray(START, jnp.float32))
        for scale in (1.0, -3.0):
            state = jaxes.guide(state, scale * jnp.asarray(SLOPE, jnp.float32) + state.guides[0])
        basis = np.asarray(state.basis, np.float64)
        np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-6)
        covariance = 0.4 / N * np.eye(N) + 0.6 / 2 * basis.T @ basis
        assert_unbiased(estimates(strategy, BOTH, state=state), 1.5 * covariance @ gradient(BOTH))

    def test_a_good_guide_helps(self):
        """On a linear function of many parameters, the exact gradient as a guide makes the estimate far better."""
        n = 200
        strategy = jaxes.guided_es(8, 0.5, tx=SGD, subspace=1, surrogates="given")
        slope = jax.random.normal(KEY, (n,))
        plain = strategy.init(KEY, jnp.zeros(n))

        @quick
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
        after, _ = quick(strategy.tell)(state, jnp.arange(8.0))
        np.testing.assert_array_equal(after.guides, state.guides)

    @pytest.mark.slow
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


def balancing(population_size, unrolls, **options):
    """Influence balancing, one step in each generation."""

    def unroll(s, theta, key):
        signs = jnp.asarray(unrolled_reference.SIGNS, s.dtype)
        s = jnp.asarray(unrolled_reference.A, s.dtype) @ s + signs * theta
        return s, -0.5 * (s[0] - 1) ** 2

    start = lambda key: jnp.zeros(unrolled_reference.SIZE, jnp.result_type(float))
    return jaxes.unrolled(start, unroll, population_size=population_size, unrolls=unrolls, **options)


def balancing_gradient(theta, unrolls):
    """Of the sum of an episode's fitnesses."""
    difference = 1e-4

    def total(theta):
        s, out = np.zeros(unrolled_reference.SIZE), 0.0
        for _ in range(unrolls):
            s, loss = unrolled_reference.inner_step(s, theta)
            out -= loss
        return out

    return (total(theta + difference) - total(theta - difference)) / (2 * difference)


class TestUnrolled:
    @pytest.mark.parametrize("name", ["pes", "nres"])
    def test_step_by_step(self, name, x64):
        """With the parameters moving within the episodes."""
        pairs, unrolls = 4, 5
        make = {"pes": jaxes.pes, "nres": jaxes.nres}[name]
        strategy = make(2 * pairs, 0.1, unrolls=unrolls, tx=optax.sgd(0.01))
        reference = {"pes": unrolled_reference.PES, "nres": unrolled_reference.NRES}[name](
            0.4, 0.1, pairs, unrolls, 0.01
        )
        problem = balancing(2 * pairs, unrolls)
        carry = strategy.init(KEY, jnp.asarray(0.4)), problem.init(KEY)
        step = quick(jaxes.generation(strategy, problem))
        for t in range(22):
            state = carry[0]
            key = keys.of_generation(state) if name == "pes" else jax.random.fold_in(state.key, t // unrolls)
            reference.generation(np.asarray(gaussian().sample(key, jnp.arange(pairs), state.mean)))
            carry, _ = step(carry)
            np.testing.assert_allclose(carry[0].mean, reference.theta, rtol=1e-6)
        assert abs(reference.theta - 0.4) > 1e-3

    def totals(self, strategy, problem, unrolls, warm=0, repeats=1500):
        """float[repeats, 1]: gradient estimates summed over an episode with the parameters held where they are."""
        step = jaxes.generation(strategy, problem)

        @quick
        @jax.vmap
        def one(key):
            def held(carry, _):
                (state, inner), _ = step(carry)
                return (state._replace(mean=carry[0].mean), inner), state.mean - carry[0].mean

            carry = strategy.init(key, jnp.float32(0.4)), problem.init(key)
            return jnp.sum(jax.lax.scan(held, carry, length=warm + unrolls)[1][warm:])

        return np.asarray(one(jax.random.split(KEY, repeats)), np.float64)[:, None]

    def test_truncation_is_biased_and_these_are_not(self):
        """The toy problem of the PES paper: a plain evolution strategy on pieces has even the sign wrong."""
        unrolls = 12
        exact = balancing_gradient(0.4, unrolls)
        problem, options = balancing(8, unrolls), {"tx": SGD}
        plain = self.totals(jaxes.open_es(8, 0.1, shaping=identity(), **options), problem, unrolls)
        assert np.sign(plain.mean()) == -np.sign(exact)
        assert abs(plain.mean() - exact) > 20 * plain.std() / np.sqrt(len(plain))
        persistent = self.totals(jaxes.pes(8, 0.1, unrolls=unrolls, **options), problem, unrolls)
        reused = self.totals(jaxes.nres(8, 0.1, unrolls=unrolls, **options), problem, unrolls)
        for found in (persistent, reused):
            assert np.sign(found.mean()) == np.sign(exact)
            assert_unbiased(found, exact)
        # The paper of NRES: reusing the noise takes variance away.
        assert reused.std() < persistent.std()

    @pytest.mark.parametrize("make", [jaxes.pes, jaxes.nres])
    def test_staggered(self, make):
        unrolls = 6
        strategy = make(12, 0.1, unrolls=unrolls, stagger=True, tx=SGD)
        problem = balancing(12, unrolls, stagger=True)
        found = self.totals(strategy, problem, unrolls, warm=unrolls)
        assert_unbiased(found, balancing_gradient(0.4, unrolls))

    @pytest.mark.parametrize("stagger", [pytest.param(False, marks=pytest.mark.slow), True])
    def test_blocks(self, stagger):
        """A block sees the inner states of its own members."""
        carries = []
        for blocks in (1, 4) if stagger else (1, 2, 4):
            strategy = jaxes.pes(8, 0.1, unrolls=3, stagger=stagger, blocks=blocks, tx=optax.sgd(0.01))
            problem = balancing(8, 3, stagger=stagger)
            carry = strategy.init(KEY, jnp.float32(0.4)), problem.init(KEY)
            run = quick(lambda c, s=strategy, p=problem: jax.lax.scan(jaxes.generation(s, p), c, length=7)[0])
            carries.append(run(carry))
        for other in carries[1:]:
            np.testing.assert_allclose(other[0].mean, carries[0][0].mean, rtol=1e-5)
            np.testing.assert_allclose(other[1].inner, carries[0][1].inner, rtol=1e-4, atol=1e-5)
        assert int(carries[0][1].step) == 7

    def test_seeds(self):
        """Who shares a key: start gives it away as the inner state."""
        start = lambda key: jax.random.uniform(key)
        unroll = lambda x, member, key: (x, jax.random.uniform(key))
        seen = {}
        for seeds in ("pair", "generation", "independent"):
            problem = jaxes.unrolled(start, unroll, population_size=6, unrolls=2, seeds=seeds)
            evaluate = lambda p=problem: p.evaluate(p.init(KEY), KEY, lambda: jnp.zeros(6), jnp.arange(6))
            fitness, _, inner = quick(evaluate)()
            seen[seeds] = (len(set(fitness.tolist())), len(set(inner.tolist())))
        assert seen == {"pair": (3, 3), "generation": (1, 1), "independent": (6, 6)}

    def test_bad_input(self):
        for make in (jaxes.pes, jaxes.nres):
            with pytest.raises(ValueError, match="unrolls must be an int of 1 or more, got 0"):
                make(8, unrolls=0)
        with pytest.raises(ValueError, match=r"unrolls must be an int of 1 or more, got 2\.5"):
            balancing(8, 2.5)
        with pytest.raises(ValueError, match="seeds must be 'pair', 'generation' or 'independent', got 'all'"):
            balancing(8, 2, seeds="all")
        strategy, problem = jaxes.pes(8), balancing(6, 2)
        carry = strategy.init(KEY, jnp.float32(0)), problem.init(KEY)
        with pytest.raises(ValueError, match="population_size of the problem must be the strategy's 8, got 6"):
            jax.eval_shape(jaxes.generation(strategy, problem), carry)
        rowless = problem._replace(rows=False)
        with pytest.raises(ValueError, match="must return fitness and sums where rows=False, got 3 values"):
            jax.eval_shape(jaxes.generation(strategy, rowless), carry)


def asebo_noise(state, units):
    z, coin = gaussian().sample(keys.of_generation(state), jnp.arange(units), (state.basis[0], state.logit))
    return np.asarray(z), np.asarray(jax.scipy.special.ndtr(coin))


class TestASEBO:
    def test_step_by_step(self, x64):
        """Against the full covariance: as many axes are kept as there are parameters."""
        ranks = set()

        def same(state, reference):
            np.testing.assert_allclose(state.axes.T @ state.axes, reference.Cov, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(jax.nn.sigmoid(state.logit), reference.q, rtol=1e-6)
            ranks.add(reference.r)

        numbers = {"warmup": 5.0, "threshold": 0.8, "covariance_decay": 0.8, "probability_rate": 0.01}
        strategy = jaxes.asebo(12, 0.1, tx=optax.sgd(1e-3), **numbers)
        reference = asebo_reference.Reference(START, 0.1, 12, eps=0.8, eta=1e-3)
        step_by_step(strategy, reference, 6, noise=asebo_noise, same=same)
        assert len(ranks) > 2, ranks

    def test_expectation(self):
        """The active part of the gradient is scaled by p n / r, the rest by (1 - p) n / (n - r)."""
        strategy = jaxes.asebo(8, 0.5, tx=SGD, warmup=0.0, threshold=0.7, probability_floor=0.3)
        tell = quick(strategy.tell)
        state = strategy.init(KEY, jnp.asarray(START, jnp.float32))
        for seed in range(4):
            state, _ = tell(state, jax.random.normal(jax.random.key(seed), (8,)))
        state = state._replace(mean=jnp.asarray(START, jnp.float32), logit=jnp.float32(1.0))
        basis = np.asarray(state.basis, np.float64)
        active, p = basis.T @ basis, 0.4 / (1 + np.exp(-1)) + 0.3
        r = round(np.trace(active))
        assert 0 < r < N
        scale = p * N / r * active + (1 - p) * N / (N - r) * (np.eye(N) - active)
        assert_unbiased(estimates(strategy, BOTH, state=state), scale @ gradient(BOTH))

    def test_an_axis_across_the_gradient_is_kept(self):
        axes = jnp.diag(jnp.array([3.0, 2.0, 1.0]))
        kept = largest_axes(axes, jnp.array([0.0, 0.0, 1.0]), jnp.float32(0.5))
        np.testing.assert_allclose(kept.T @ kept, jnp.diag(jnp.array([4.5, 2.0, 1.0])), atol=1e-5)

    def test_finds_the_subspace(self):
        """Of a function of two directions among thirty: they become the active ones, and p rises."""
        strategy = jaxes.asebo(16, 0.1, tx=optax.sgd(1e-3), probability_rate=0.001)
        plane = np.linalg.qr(np.random.default_rng(3).standard_normal((30, 2)))[0].T
        function = lambda x: -jnp.sum((jnp.asarray(plane, x.dtype) @ x - jnp.array([1.0, 2.0])) ** 2)
        state, _ = jaxes.run(strategy, function, strategy.init(KEY, jnp.zeros(30)), generations=40)
        slope = plane.T @ np.array([1.0, 2.0]) / np.sqrt(5)
        assert np.linalg.norm(np.asarray(state.basis) @ slope) > 0.9
        assert float(state.logit) > 0

    @pytest.mark.slow
    def test_sphere(self):
        strategy = jaxes.asebo(20, 0.1, warmup=5.0, threshold=0.9, covariance_decay=0.8, tx=optax.sgd(0.1))
        make = lambda: asebo_reference.Reference(START, 0.1, 20, eta=0.1)
        assert_alike(evaluations(strategy, 1e-2, 300), reference_evaluations(make, 20, 1e-2, 300), 1.4)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="subspace must be an int of 1 or more, got 0"):
            jaxes.asebo(8, subspace=0)
        with pytest.raises(ValueError, match="subspace must be at most the number of parameters 2, got 3"):
            jaxes.asebo(8, subspace=3).init(KEY, jnp.zeros(2))
        with pytest.raises(ValueError, match=r"probability_floor must be below 0\.5, got 0\.5"):
            jaxes.asebo(8, probability_floor=0.5)
        with pytest.raises(ValueError, match="covariance_decay must be below 1, got 1"):
            jaxes.asebo(8).init(KEY, jnp.zeros(2), covariance_decay=1.0)


def mixture(x):
    """Log-density of two normal peaks at -2 and 2 in the first coordinate."""
    peaks = jnp.zeros((2, x.size)).at[:, 0].set(jnp.array([-2.0, 2.0]))
    return jax.scipy.special.logsumexp(-0.5 * jnp.sum((x[None] - peaks) ** 2, axis=1))


class TestSteinVariational:
    def test_open_es_step_by_step(self, x64):
        options = {"repulsion": 0.7, "bandwidth": 1.5, "tx": optax.sgd(1e-3), "shaping": identity()}
        strategy = jaxes.sv_open_es(12, 0.1, particles=3, spread=0.5, **options)
        state = strategy.init(KEY, jnp.asarray(START))
        reference = sv_open_es_reference.Reference(state.mean, 0.1, 4, repulsion=0.7, bandwidth=1.5, eta=1e-3)
        ask, tell = quick(strategy.ask), quick(strategy.tell)
        for _ in range(25):
            candidates = reference.ask(normals(state._replace(mean=state.mean[0]), 6))
            np.testing.assert_allclose(ask(state), candidates, rtol=1e-7)
            values = np.array([ellipsoid(x) for x in candidates])
            reference.tell(values)
            state, _ = tell(state, -values)
            np.testing.assert_allclose(state.mean, reference.x, rtol=1e-6)

    def test_cma_es_step_by_step(self, x64):
        strategy = jaxes.sv_cma_es(18, 0.3, particles=3, spread=0.5, repulsion=0.7, bandwidth=1.5, active=False)
        state = strategy.init(KEY, jnp.asarray(START))
        reference = sv_cma_es_reference.Reference(state.mean, 0.3, 6, repulsion=0.7, bandwidth=1.5)
        ask, tell = quick(strategy.ask), quick(strategy.tell)
        for t in range(25):
            keys = [jax.random.fold_in(jax.random.fold_in(state.key, i), t) for i in range(3)]
            z = [np.asarray(gaussian().sample(key, jnp.arange(6), jnp.zeros(N))) for key in keys]
            candidates = reference.ask(np.array(z), np.asarray(state.particles.root))
            np.testing.assert_allclose(ask(state), candidates, rtol=1e-6)
            values = np.array([ellipsoid(x) for x in candidates])
            reference.tell(values)
            state, _ = tell(state, -values)
            np.testing.assert_allclose(state.mean, reference.x, rtol=1e-6)
            np.testing.assert_allclose(state.sigma, reference.s, rtol=1e-6)
            root, change = state.particles.root, state.particles.change
            np.testing.assert_allclose(root @ change @ root.transpose(0, 2, 1), reference.C, rtol=1e-5, atol=1e-8)

    def test_samples_a_density(self):
        """Particles of SVGD on a normal distribution have its mean and nearly its spread; without repulsion, none."""
        log_density = lambda x: -0.5 * jnp.sum((x - 1) ** 2)
        spreads = []
        strategy = jaxes.sv_open_es(20 * 20, 0.1, particles=20, spread=0.5, tx=optax.sgd(0.3), shaping=identity())

        @quick
        def end(repulsion):
            start = strategy.init(KEY, jnp.zeros(2), repulsion=repulsion)
            return jaxes.run(strategy, log_density, start, generations=300)[0]

        for repulsion in (1.0, 0.0):
            state = end(jnp.float32(repulsion))
            np.testing.assert_allclose(jnp.mean(state.mean, axis=0), 1.0, atol=0.15)
            spreads.append(float(jnp.mean(jnp.std(state.mean, axis=0))))
        assert 0.7 < spreads[0] < 1.2 and spreads[1] < 0.2, spreads

    @pytest.mark.slow
    def test_both_peaks_are_held(self):
        """Of two equal peaks each has particles."""
        strategies = (
            jaxes.sv_open_es(8 * 16, 0.2, particles=8, spread=1.0, tx=optax.sgd(0.3), shaping=identity()),
            jaxes.sv_cma_es(8 * 6, 0.5, particles=8, spread=1.0),
        )
        for strategy in strategies:
            state, _ = jaxes.run(strategy, mixture, strategy.init(KEY, jnp.zeros(2)), generations=50)
            first = np.asarray(state.mean[:, 0])
            assert np.any(first > 1) and np.any(first < -1), first
            assert abs(abs(float(strategy.recommend(state)[0])) - 2) < 1.2

    @pytest.mark.slow
    def test_without_repulsion_particles_are_searches_alone(self, x64):
        """Each particle of sv_cma_es is a cma_es, and reaches what that one reaches."""
        strategy, alone = jaxes.sv_cma_es(16, 0.3, particles=2, repulsion=0.0), jaxes.cma_es(8, 0.3)
        start = strategy.init(KEY, jnp.asarray(START))
        sphere_of = jaxes.minimize(sphere)
        state, _ = jaxes.run(strategy, sphere_of, start, generations=40)
        for i in range(2):
            mine = alone.init(jax.random.fold_in(KEY, i), start.mean[i])
            single, _ = jaxes.run(alone, sphere_of, mine, generations=40)
            np.testing.assert_allclose(state.mean[i], single.mean, rtol=1e-6, atol=1e-9)
            assert float(sphere(single.mean)) < 0.03

    def test_scale_of_the_parameters(self):
        """Parameters and sigma a thousand times larger: the same search."""
        strategy = jaxes.sv_cma_es(12, particles=2)

        @quick
        def end(scale):
            state = strategy.init(KEY, jnp.asarray(START, jnp.float32) * scale, sigma=0.3 * scale)
            step = lambda s, _: (strategy.tell(s, -jnp.sum((strategy.ask(s) / scale) ** 2, axis=1))[0], None)
            return jax.lax.scan(step, state, length=3)[0].mean / scale

        ends = [end(jnp.float32(scale)) for scale in (1.0, 1024.0)]
        np.testing.assert_allclose(ends[0], ends[1], rtol=1e-3, atol=1e-4)

    def test_sigma_and_rates_reach_the_particles(self):
        state = quick(lambda: jaxes.sv_cma_es(16).init(KEY, jnp.zeros(3), sigma=0.7, c_1=0.02))()
        np.testing.assert_allclose(state.sigma, 0.7)
        np.testing.assert_allclose(state.particles.c_1, 0.02)

    def test_members_of_unaligned_blocks(self):
        strategy = jaxes.sv_cma_es(12, particles=3)
        state = strategy.init(KEY, jnp.zeros(3))
        blocks = jaxes.Block(3, 4), jaxes.Block(4, 4), jaxes.Block(2, 5)
        members, *parts = quick(lambda state: [strategy.ask(state, ids) for ids in (None, *blocks)])(state)
        for block, part in zip(blocks, parts, strict=True):
            np.testing.assert_allclose(part, members[block.start : block.start + block.size], rtol=3e-7, atol=3e-7)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="particles must be an int of 2 or more, got 1"):
            jaxes.sv_open_es(8, particles=1)
        with pytest.raises(ValueError, match=r"divisible by 2 \* particles = 6 \(whole antithetic pairs\), got 8"):
            jaxes.sv_open_es(8, particles=3)
        with pytest.raises(ValueError, match="divisible by particles = 3, with at least two members each, got 8"):
            jaxes.sv_cma_es(8, particles=3)
        with pytest.raises(TypeError, match="unknown number 'nonsense'"):
            jaxes.sv_cma_es(8).init(KEY, jnp.zeros(2), nonsense=1.0)
