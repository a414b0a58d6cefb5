"""sv_open_es: against its reference, and as a sampler; what it shares with sv_cma_es: test_parts_stein.py."""

import jax.numpy as jnp
import numpy as np
import optax
from gradient_steps import KEY, START, ellipsoid, identity, normals
from programs import quick
from references.sv_open_es import Reference

import jaxes


def test_step_by_step(x64):
    options = {"repulsion": 0.7, "bandwidth": 1.5, "tx": optax.sgd(1e-3), "shaping": identity()}
    strategy = jaxes.sv_open_es(12, 0.1, particles=3, spread=0.5, **options)
    state = strategy.init(KEY, jnp.asarray(START))
    reference = Reference(state.mean, 0.1, 4, repulsion=0.7, bandwidth=1.5, eta=1e-3)
    ask, tell = quick(strategy.ask), quick(strategy.tell)
    for _ in range(25):
        candidates = reference.ask(normals(state._replace(mean=state.mean[0]), 6))
        np.testing.assert_allclose(ask(state), candidates, rtol=1e-7)
        values = np.array([ellipsoid(x) for x in candidates])
        reference.tell(values)
        state, _ = tell(state, -values)
        np.testing.assert_allclose(state.mean, reference.x, rtol=1e-6)


def test_samples_a_density():
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
