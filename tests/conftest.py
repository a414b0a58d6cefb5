"""Settings of every test: strict promotion of dtypes, no implicit broadcasting of ranks (warnings: pyproject.toml)."""

import os
import tempfile

import chex
import jax
import pytest
import tiers

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Most of the tests' time is compilation; the workers of pytest-xdist, and the next run, share what one has compiled.
if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    folder = os.path.join(tempfile.gettempdir(), f"jaxes-tests-{os.getuid() if hasattr(os, 'getuid') else 0}")
    jax.config.update("jax_compilation_cache_dir", folder)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


# Where the very bits are compared, programs are compiled as users compile them. Elsewhere half of the tests' time
# would go into optimizations of what runs once.
AS_USERS_DO = ("test_cma_es", "test_contract", "test_rl_brax", "test_rl_episodes", "test_training_loop")


@pytest.fixture(autouse=True, scope="module")
def optimizations(request):
    quickly = request.module.__name__ not in AS_USERS_DO
    jax.config.update("jax_disable_most_optimizations", quickly)
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(quickly)  # of the processes that a test starts
    yield


COLLECTED: set[tuple[str, str]] = set()  # module and name of every test, also of those that are deselected


@pytest.fixture(autouse=True)
def traces():
    """`chex.assert_max_traces` counts anew in each test."""
    chex.clear_trace_counter()


@pytest.fixture
def collected():
    return COLLECTED


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Mark the second tier, and keep tests that share compiled programs in one process.

    A row of the table of strategies is one group, and so is every other module: its fixtures and caches are made once.
    """
    COLLECTED.update((item.module.__name__, item.name) for item in items)
    for item in items:
        module = item.module.__name__
        if tiers.is_extended(module, item.name):
            item.add_marker(pytest.mark.extended)
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        row = parameters.get("name") if module in ("test_contract", "test_doctests") else None
        item.add_marker(pytest.mark.xdist_group(f"{module} {row}" if row else module))
