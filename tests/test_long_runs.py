"""Three thousand generations of every strategy: nothing overflows, and nothing underflows to what is no number."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from table import ALL, numbers_of

import jaxes

GENERATIONS = 3000
FUNCTIONS = ("sphere", "ellipsoid", "Rosenbrock", "flat", "a slope without an end")


def value(which, x):
    """float[]: one of the functions, to be minimized; where x has one number, Rosenbrock's is a parabola."""
    n = x.size
    scale = 10.0 ** (6 * jnp.arange(n, dtype=x.dtype) / max(n - 1, 1))
    valley = jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2) + jnp.sum((1 - x[: max(n - 1, 1)]) ** 2)
    return jnp.stack([jnp.sum(x**2), jnp.sum(scale * x**2), valley, jnp.zeros((), x.dtype), -jnp.sum(x)])[which]


@functools.partial(jax.jit, static_argnums=(0, 1))
def run(strategy, n, which, share):
    """State and members after all generations, and the first generation with a number that is not finite (or -1)."""

    def step(state, t):
        fitness = -jax.vmap(functools.partial(value, which))(strategy.ask(state))
        lost = jax.random.bernoulli(jax.random.fold_in(jax.random.key(5), t), share, fitness.shape)
        state, _ = strategy.tell(state, jnp.where(lost, jnp.nan, fitness))
        return state, finite((state, strategy.recommend(state)))

    start = strategy.init(jax.random.key(1), jnp.linspace(0.5, 1.5, n, dtype=jnp.float32))
    state, fine = jax.lax.scan(step, start, jnp.arange(GENERATIONS))
    return state, strategy.ask(state), jnp.where(jnp.all(fine), -1, jnp.argmin(fine))


def finite(tree):
    """bool[]: whether no number is NaN, and none infinite but a fitness before any was told."""
    unknown = lambda x: jnp.isnan(x) | (x == jnp.inf)
    floats = [x for x in numbers_of(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return ~jnp.any(jnp.stack([jnp.any(unknown(x)) for x in floats]))


# Settings that need two numbers at least have another one where there is one.
SMALLER = {"guided_es": {"subspace": 1}, "open_es, orthogonal, z_score, l2": {"noise": None}}


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_everything_stays_finite(name):
    """On five functions, and with a tenth of the members failing, in 1, 2, 3 and 10 dimensions."""
    size = 16 if name.startswith(("iamalgam", "differential")) else 8
    which, share = np.meshgrid(np.arange(5), np.float32([0, 0.1]), indexing="ij")
    found = {}
    for n in (1, 2, 3, 10):
        strategy = ALL[name].make(population_size=size, **(SMALLER.get(name, {}) if n == 1 else {}))
        go = jax.vmap(functools.partial(run, strategy, n))
        _, members, first = go(jnp.asarray(which.ravel()), jnp.asarray(share.ravel()))
        for i, (function, lost) in enumerate(zip(which.ravel(), share.ravel(), strict=True)):
            if int(first[i]) >= 0:
                found[n, FUNCTIONS[function], float(lost)] = int(first[i])
        assert all(np.isfinite(x).all() for x in numbers_of(members)), n
    assert not found


_SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("mr15_ga", "sv_cma_es", "particle_swarm")]


@pytest.mark.parametrize("name", ["snes", *_SLOW])
def test_steps_that_grow_for_ever_end_within_range(name):
    """From near the border of what float32 can square, for 100 generations on a slope without an end."""
    strategy = ALL[name].make(population_size=16)
    state = strategy.init(jax.random.key(0), jnp.full(3, 5e16), sigma=1e16)
    state, infos = jaxes.run(strategy, jnp.sum, state, generations=100)
    assert bool(finite((state, strategy.recommend(state), strategy.ask(state)))) and int(infos.invalid[-1]) == 0
    assert 1e17 < float(jnp.max(jnp.abs(strategy.recommend(state)))) < 1e18
