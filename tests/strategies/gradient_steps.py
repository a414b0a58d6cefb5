"""Strategies that estimate a gradient beside transcriptions of their papers, and beside exact gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from programs import quick

import jaxes
from jaxes.noise import gaussian
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
