"""Settings of every test: strict dtypes, no broadcasting of ranks, exact products (warnings are in pyproject.toml)."""

import os
import tempfile
from pathlib import Path

import chex
import jax
import pytest
import tiers

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")  # models too: accelerators multiply in TF32 otherwise

# Most of the tests' time is compilation; the workers of pytest-xdist, and the next run, share what one has compiled.
if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    folder = os.path.join(tempfile.gettempdir(), f"jaxes-tests-{os.getuid() if hasattr(os, 'getuid') else 0}")
    jax.config.update("jax_compilation_cache_dir", folder)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
os.environ["JAXES_CACHE"] = "off"  # programs of searches are compiled here, whatever the user has kept


# Where the very bits are compared, programs are compiled as users compile them. Elsewhere half of the tests' time
# would go into optimizations of what runs once.
AS_USERS_DO = ("test_cma_es", "test_contract", "test_rl_brax", "test_rl_episodes", "test_training_loop")


@pytest.fixture(autouse=True, scope="module")
def optimizations(request):
    quickly = request.module.__name__ not in AS_USERS_DO
    jax.config.update("jax_disable_most_optimizations", quickly)
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(quickly)  # of the processes that a test starts
    yield


# Every compiled program takes some memory maps, of which Linux gives a process 65,530; then XLA crashes.
MAPS, MOST_MAPS = Path("/proc/self/maps"), 30_000


@pytest.fixture(autouse=True)
def few_programs():
    """Forget compiled programs before there are too many for one process."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


COLLECTED: set[tuple[str, str]] = set()  # module and name of every test, also of those that are deselected


@pytest.fixture(autouse=True)
def traces():
    """`chex.assert_max_traces` counts anew in each test."""
    chex.clear_trace_counter()


@pytest.fixture
def collected():
    return COLLECTED


def pytest_collection_modifyitems(items):
    """Mark the second tier."""
    for item in items:
        module = item.module.__name__
        COLLECTED.add((module, item.name))
        if tiers.is_extended(module, item.name):
            item.add_marker(pytest.mark.extended)
