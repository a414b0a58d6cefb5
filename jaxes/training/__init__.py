"""The training loop, the folder of a run, and everything behind `jaxes train`."""

from jaxes.training.config import Config
from jaxes.training.fitting import fit
from jaxes.training.interruption import Interrupted
from jaxes.training.report import Report
from jaxes.training.sweeping import Sweep, sweep
from jaxes.training.train import build, prepare, resume, to_resume, train
from jaxes.training.trained import Trained, load

__all__ = [
    "Config",
    "Interrupted",
    "Report",
    "Sweep",
    "Trained",
    "build",
    "fit",
    "load",
    "prepare",
    "resume",
    "sweep",
    "to_resume",
    "train",
]
