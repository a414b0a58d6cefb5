"""Pictures of runs, drawn from their metrics, and of searches, drawn from their history."""

from jaxes.training.plots.one_run import reward
from jaxes.training.plots.parts import AXES
from jaxes.training.plots.search import optimization
from jaxes.training.plots.several_runs import compare, sweep

__all__ = ["AXES", "compare", "optimization", "reward", "sweep"]
