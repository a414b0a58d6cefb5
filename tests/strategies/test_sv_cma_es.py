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
