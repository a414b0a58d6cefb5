"""iamalgam, of a full covariance and of a univariate one: against its reference, and how its multiplier moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gaussian_steps import (
    KEY,
    SIZE,
    Case,
    N,
    functions,
    made,
    normals,
    reaches_the_optimum,
    stays_finite,
    step_by_step,
)
from programs import quick
from references.iamalgam import Reference

import jaxes

CASES = {
    "full": Case("iamalgam", {"sigma": "sigma", "multiplier": "c"}, 400, size=31),
    "univariate": Case(
        "iamalgam", {"sigma": "sigma", "multiplier": "c"}, 600, size=12, options={"covariance": "univariate"}
    ),
}
every = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@every
@functions
def test_step_by_step(case, function):
    step_by_step(case, function)


@pytest.mark.slow
@every
def test_sphere(case):
    reaches_the_optimum(case)


def test_multiplier():
    """It grows by 1 / eta_dec if improvements lie beyond theta_sdr deviations, and shrinks by eta_dec without any."""
    strategy, ask, tell = made(CASES["full"])
    size = strategy.population_size
    state, _ = tell(strategy.init(KEY, jnp.zeros(N)), np.full(size, -1e6, np.float32))
    slope = np.asarray(ask(state))[:, 0]
    for theta, eta, want in ((0.0, 0.5, 2.0), (0.0, 0.8, 1.25), (100.0, 0.5, 1.0)):
        given = state._replace(theta_sdr=np.float32(theta), eta_dec=np.float32(eta))
        told, _ = tell(given, slope)
        np.testing.assert_allclose(told.multiplier, want, rtol=1e-6)
        again, _ = tell(told, np.full(size, -1e6, np.float32))
        np.testing.assert_allclose(again.multiplier, max(want * eta, 1), rtol=1e-6)
    worse = np.full(size, -1e7, np.float32)
    for t in range(25 + N + 2):
        state, _ = tell(state, worse)
        assert (float(state.multiplier) < 1) == (t >= 25 + N - 1)
    np.testing.assert_allclose(strategy.recommend(state), state.best, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "univariate"])
def test_covariance(covariance):
    """The whole matrix is the reference's, through growing and shrinking multipliers."""
    with jax.enable_x64(True):
        strategy = jaxes.iamalgam(12, 0.5, covariance=covariance)
        theirs = Reference(np.zeros(3), 0.5, 12, covariance)
        state = strategy.init(KEY, jnp.zeros(3))
        tell = quick(strategy.tell)
        draw = normals(12, 3)
        rng = np.random.default_rng(0)
        for t in range(80):
            x = theirs.ask(np.asarray(draw(jax.random.fold_in(KEY, t))))
            # A slope at first, and then a function that only gets worse.
            values = -x[:, 0] if t < 15 else t + rng.random(12)
            theirs.tell(values)
            state, _ = tell(state, -values)
            ours = np.asarray(state.sigma**2 * state.covariance)
            # Rounding grows with the condition, from 4 to 10^15, as the matrix is factored.
            rtol = max(1e-9, np.finfo(float).eps * min(np.linalg.cond(np.atleast_2d(theirs.Sigma)), 1e12))
            np.testing.assert_allclose(ours if covariance == "full" else np.diag(ours), theirs.Sigma, rtol=rtol)
            np.testing.assert_allclose(state.multiplier, theirs.c, rtol=1e-9)
            np.testing.assert_allclose(state.sigma * state.shift, theirs.shift, rtol=rtol, atol=1e-12)
    assert max(theirs.history) > 1.2 and min(theirs.history) < 0.5


def test_bad_covariance():
    with pytest.raises(ValueError, match="covariance must be 'full' or 'univariate', got 'diagonal'"):
        jaxes.iamalgam(SIZE, covariance="diagonal")


@every
def test_ill_conditioned_in_f32(case):
    stays_finite(case)
