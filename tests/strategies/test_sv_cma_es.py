"""sv_cma_es: against its reference, and what its particles are; what it shares with sv_open_es: test_parts_stein.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_steps import KEY, START, N, ellipsoid, sphere
from programs import quick
from references.sv_cma_es import Reference

import jaxes
from jaxes.noise import gaussian


def test_step_by_step(x64):
    strategy = jaxes.sv_cma_es(18, 0.3, particles=3, spread=0.5, repulsion=0.7, bandwidth=1.5, active=False)
    state = strategy.init(KEY, jnp.asarray(START))
    reference = Reference(state.mean, 0.3, 6, repulsion=0.7, bandwidth=1.5)
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


def ends(n, population_size, particles, objective, generations):
    """float[seeds]: sigma at the end and the best value found."""
    strategy = jaxes.sv_cma_es(population_size, 0.3, particles=particles)
    step = jaxes.generation(strategy, jaxes.problem(jaxes.minimize(objective)))

    @quick
    @jax.vmap
    def run(key):
        (state, _), infos = jax.lax.scan(step, (strategy.init(key, jnp.ones(n)), ()), length=generations)
        return jnp.max(state.sigma), jnp.max(-objective(strategy.recommend(state))), jnp.max(infos.sigma)

    return map(np.asarray, run(jax.random.split(KEY, 4)))


@pytest.mark.parametrize(("n", "population_size", "particles"), [(3, 64, 4), (1, 24, 3), (6, 32, 2)])
def test_particles_at_one_optimum_converge(n, population_size, particles):
    """Where all are pushed away from the same optimum, step sizes still go to zero."""
    sigma, best, largest = ends(n, population_size, particles, lambda x: jnp.sum(x**2), 150)
    assert (best > -1e-8).all() and (sigma < 1e-4).all() and (largest < 10).all(), (best, sigma, largest)


@pytest.mark.slow
def test_particles_in_a_valley_converge():
    """On Rosenbrock's function the push is across the valley too, whose width the covariance knows."""
    rosenbrock = lambda x: jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    _, best, largest = ends(3, 64, 4, lambda x: rosenbrock(x - 0.5), 1000)
    assert (best > -1e-8).all() and (largest < 1e5).all(), (best, largest)


def test_repulsion_spreads_particles_and_leaves_sigma_as_it_is():
    """Where all values are equal, particles that began close together part, and sigma walks at random as without."""
    strategy = jaxes.sv_cma_es(32, 0.3, particles=4, spread=0.03)

    @quick
    def end(repulsion, key):
        step = lambda state, _: (strategy.tell(state, jnp.zeros(32))[0], None)
        state = jax.lax.scan(step, strategy.init(key, jnp.zeros(5), repulsion=repulsion), length=20)[0]
        return jnp.mean(jnp.std(state.mean, axis=0)), jnp.mean(jnp.log(state.sigma / 0.3))

    end = jax.vmap(jax.vmap(end, (None, 0)), (0, None))
    spread, drift = map(np.asarray, end(jnp.array([0.0, 1.0]), jax.random.split(KEY, 32)))
    without, with_it = spread.mean(1)
    assert with_it > 1.3 * without, (with_it, without)
    assert (abs(drift.mean(1)) < 0.15).all(), drift.mean(1)


@pytest.mark.slow
def test_without_repulsion_particles_are_searches_alone(x64):
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


def test_scale_of_the_parameters():
    """Parameters and sigma a thousand times larger: the same search."""
    strategy = jaxes.sv_cma_es(12, particles=2)

    @quick
    def end(scale):
        state = strategy.init(KEY, jnp.asarray(START, jnp.float32) * scale, sigma=0.3 * scale)
        step = lambda s, _: (strategy.tell(s, -jnp.sum((strategy.ask(s) / scale) ** 2, axis=1))[0], None)
        return jax.lax.scan(step, state, length=3)[0].mean / scale

    ends = [end(jnp.float32(scale)) for scale in (1.0, 1024.0)]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-3, atol=1e-4)


def test_sigma_and_rates_reach_the_particles():
    state = quick(lambda: jaxes.sv_cma_es(16).init(KEY, jnp.zeros(3), sigma=0.7, c_1=0.02))()
    np.testing.assert_allclose(state.sigma, 0.7)
    np.testing.assert_allclose(state.particles.c_1, 0.02)


def test_members_of_unaligned_blocks():
    strategy = jaxes.sv_cma_es(12, particles=3)
    state = strategy.init(KEY, jnp.zeros(3))
    blocks = jaxes.Block(3, 4), jaxes.Block(4, 4), jaxes.Block(2, 5)
    members, *parts = quick(lambda state: [strategy.ask(state, ids) for ids in (None, *blocks)])(state)
    for block, part in zip(blocks, parts, strict=True):
        np.testing.assert_allclose(part, members[block.start : block.start + block.size], rtol=3e-7, atol=3e-7)
