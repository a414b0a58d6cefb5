"""Functions that take a strategy and return another one, for `jit`, `vmap`, `scan` and checkpoints as before."""

from jaxes.wrappers.bounded import bounded
from jaxes.wrappers.integer import integer
from jaxes.wrappers.keep_best import keep_best
from jaxes.wrappers.reevaluated import reevaluated
from jaxes.wrappers.restarted import restarted

__all__ = ["bounded", "integer", "keep_best", "reevaluated", "restarted"]
