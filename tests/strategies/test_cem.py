"""cem: against its reference, and what its options promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references.cem import Reference
from simple_steps import KEY, START, compare, elite, normals, objective

import jaxes
from jaxes import shaping


@pytest.mark.parametrize(
    "noise",
    [0.0, 0.04, lambda t: jnp.maximum(0.05 - jnp.asarray(t, float) / 200, 0)],
    ids=["none", "constant", "linear"],
)
def test_step_by_step(noise, x64):
    n = 20
    reference = Reference(START, 0.3, n, rho=0.25)

    def update(carry, t, members, fitness):
        reference.Z = float(noise(t)) if callable(noise) else noise
        np.testing.assert_allclose(members, reference.ask(normals(KEY, t, n)), rtol=1e-6)
        reference.tell(-fitness)
        return reference.mean, np.sqrt(reference.variance)

    compare(jaxes.cem(n, 0.3, elite_fraction=0.25, variance_noise=noise), update, (np.full(4, 0.3),), 12, rtol=1e-6)


def test_one_elite_keeps_the_noise():
    strategy = jaxes.cem(10, 1.0, elite_fraction=0.1, variance_noise=4.0)
    state, _ = strategy.tell(strategy.init(KEY, jnp.zeros(3)), jnp.arange(10.0))
    np.testing.assert_allclose(state.sigma, 2.0, rtol=1e-4)


def test_of_clipped_members(x64):
    """The elite of the clipped members is fitted (PlaNet), with momentum and a least standard deviation (iCEM)."""
    n, k, low, high = 20, 5, np.array([0.1, -0.4, -1.0, 0.0]), 0.9

    def update(carry, t, members, fitness):
        mean, sigma = carry
        clipped = np.clip(mean + sigma * normals(KEY, t, n), low, high)
        np.testing.assert_allclose(members, clipped, rtol=1e-6)
        best = clipped[elite(fitness, k) > 0]
        return 0.3 * mean + 0.7 * best.mean(0), np.maximum(0.3 * sigma + 0.7 * best.std(0), 0.05)

    options = {"low": low, "high": high, "momentum": 0.3, "minimum_sigma": 0.05}
    compare(jaxes.cem(n, 0.3, elite_fraction=0.25, **options), update, (np.full(4, 0.3),), 12, rtol=1e-6)


def test_elites_come_again(x64):
    n, k, again = 12, 6, 3
    strategy = jaxes.cem(n, 0.3, elite_fraction=0.5, kept_fraction=0.5)
    state = strategy.init(KEY, jnp.asarray(START))
    np.testing.assert_allclose(strategy.ask(state)[-again:], np.tile(START, (again, 1)))
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    kept = np.tile(START, (again, 1))
    for t in range(4):
        drawn = np.asarray(state.mean) + np.asarray(state.sigma) * normals(KEY, t, n)
        members = np.concatenate([drawn[:-again], kept])
        np.testing.assert_allclose(ask(state), members, rtol=1e-6)
        np.testing.assert_allclose(ask(state, jnp.array([n - 1, 0])), members[[-1, 0]], rtol=1e-6)
        fitness = np.array([objective(x) for x in members])
        fitness[0] = np.nan if t == 1 else fitness[0]
        order = np.argsort(-np.nan_to_num(fitness, nan=-np.inf))
        state, _ = tell(state, fitness)
        kept = members[order[:again]]
        np.testing.assert_allclose(state.kept, kept, rtol=1e-6)
        if len(set(fitness[order[: k + 1]])) == k + 1:  # no tie at the border
            np.testing.assert_allclose(state.mean, members[order[:k]].mean(0), rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"low": 1.0, "high": 0.0}, "low must be below high, got 1 and 0 for params"),
        ({"low": jnp.zeros(3)}, "low must be a number, or a prefix of the parameters' tree whose shapes fit"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"kept_fraction": -0.1}, r"kept_fraction must be a number in \[0, 1\], got -0.1"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        jaxes.cem(8, **options).init(KEY, jnp.zeros(2))


def test_with_other_weights_and_noise():
    strategy = jaxes.cem(6, 0.5, weights=shaping.boltzmann(2.0), noise=jaxes.noise.rademacher())
    state = strategy.init(KEY, jnp.asarray(START))
    members, fitness = np.asarray(strategy.ask(state)), np.arange(6.0)
    np.testing.assert_allclose(np.abs(members - START), 0.5, rtol=1e-5)
    state, _ = strategy.tell(state, fitness)
    shares = np.exp(fitness / 2) / np.exp(fitness / 2).sum()
    np.testing.assert_allclose(state.mean, shares @ members, rtol=1e-5)
    np.testing.assert_allclose(state.sigma**2, shares @ members**2 - (shares @ members) ** 2, rtol=1e-4, atol=1e-6)
    low = jaxes.cem(6, noise=jaxes.noise.low_rank())
    with pytest.raises(ValueError, match="noise must be dense for cem"):
        low.ask(low.init(KEY, jnp.zeros((2, 2))))
