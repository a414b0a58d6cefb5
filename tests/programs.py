"""How tests compile what they run once."""

import functools

import jax

# Half the time of compilation; for programs whose bits are compared with those of such programs only.
quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
