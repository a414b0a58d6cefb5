"""Settings of every test: strict promotion of dtypes, no implicit broadcasting of ranks (warnings: pyproject.toml)."""

import os
import tempfile

import jax

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Most of the tests' time is compilation; the workers of pytest-xdist, and the next run, share what one has compiled.
if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    folder = os.path.join(tempfile.gettempdir(), f"jaxes-tests-{os.getuid() if hasattr(os, 'getuid') else 0}")
    jax.config.update("jax_compilation_cache_dir", folder)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
