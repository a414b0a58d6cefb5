"""From a function to its optimum: the loops around a strategy, and a gradient made of evaluations alone."""

from jaxes.search.esopt import ESOpt
from jaxes.search.minimization import Result, minimize_function
from jaxes.search.run import run
from jaxes.search.smoothing import es_value_and_grad

__all__ = ["ESOpt", "Result", "es_value_and_grad", "minimize_function", "run"]
