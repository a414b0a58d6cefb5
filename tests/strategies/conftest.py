"""What the tests of strategies share: double precision, in which steps are compared."""

import jax
import pytest

pytest.register_assert_rewrite("gaussian_steps", "gradient_steps", "population_steps", "simple_steps", "unrolled_steps")


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield
