"""cr_fm_nes: against its reference, and its phases; the shape of its Gaussian: test_parts_stretched.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gaussian_steps import (
    KEY,
    Case,
    N,
    functions,
    made,
    reaches_the_optimum,
    stays_finite,
    step_by_step,
)

CASE = Case("cr_fm_nes", {"sigma": "sigma", "d": "D", "v": "v", "path_c": "p_c", "path_sigma": "p_s"}, 500, pairs=True)


@functions
def test_step_by_step(function):
    step_by_step(CASE, function)


@pytest.mark.slow
def test_sphere():
    reaches_the_optimum(CASE)


def test_phases():
    """The path's length decides which numbers have a say: moving, stagnating, converging."""
    strategy, ask, tell = made(CASE)
    usual = strategy.init(KEY, jnp.ones(N))
    members = np.asarray(ask(usual))
    says = {}
    # At c_sigma = 0 the path stays as it is.
    for phase, length in (("move", 2.0), ("stag", 0.5), ("conv", 0.01)):
        state = usual._replace(path_sigma=np.full(N, length, np.float32), c_sigma=np.float32(0))
        for growing in (False, True):
            # Far members are the best, or the worst: the gradient of sigma is positive, or negative.
            order = ((members - 1) ** 2).sum(1) * (1 if growing else -1)
            plain = tell(state, order)[0]
            for number in ("eta_move", "eta_stag", "eta_conv", "c_1", "alpha"):
                other = tell(state._replace(**{number: np.float32(3) * np.asarray(getattr(state, number))}), order)[0]
                other = other._replace(**{number: getattr(plain, number)})
                pairs = zip(plain[1:], other[1:], strict=True)
                if any(not np.array_equal(a, b) for a, b in pairs):
                    says.setdefault(number, set()).add((phase, growing))
            if phase == "move" and not growing:
                assert float(plain.sigma) == float(state.sigma)  # it never shrinks while the search moves
    both = lambda phase: {(phase, False), (phase, True)}
    assert says == {
        "eta_move": {("move", True)},
        "eta_stag": both("stag"),
        "eta_conv": both("conv"),
        "c_1": both("move"),
        "alpha": both("move"),
    }
    assert np.isfinite(jax.tree.leaves(tell(usual._replace(alpha=np.float32(1e4)), -(members**2).sum(1))[0].mean)).all()


def test_ill_conditioned_in_f32():
    stays_finite(CASE)
