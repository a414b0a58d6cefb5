"""Evolution strategies in JAX: pure functions from a key, parameters and fitness to better parameters."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxes import noise, shaping, wrappers
from jaxes.blocks import Block
from jaxes.clip_up import clip_up
from jaxes.esopt import ESOpt
from jaxes.minimization import minimize_function
from jaxes.problem import Problem, generation, minimize, problem
from jaxes.run import run
from jaxes.smoothing import es_value_and_grad
from jaxes.strategies import STRATEGIES, cem, cma_es, nes, open_es, pgpe, simple_es, snes
from jaxes.strategy import Info, Strategy

if TYPE_CHECKING:
    from jaxes import envs, plots, rl, training
    from jaxes.training import Report, fit, load

__version__ = "0.1.0"

__all__ = [
    "STRATEGIES",
    "cem",
    "cma_es",
    "nes",
    "open_es",
    "simple_es",
    "snes",
    "pgpe",
    "Block",
    "ESOpt",
    "Info",
    "Problem",
    "Strategy",
    "clip_up",
    "es_value_and_grad",
    "generation",
    "minimize",
    "minimize_function",
    "problem",
    "run",
    "noise",
    "shaping",
    "wrappers",
    "Report",
    "envs",
    "fit",
    "load",
    "plots",
    "rl",
    "training",
]

# What needs more than JAX and optax is imported when it is first used.
_LATER = {
    "envs": "jaxes.envs",
    "rl": "jaxes.rl",
    "training": "jaxes.training",
    "plots": "jaxes.plots",
    "Report": "jaxes.training:Report",
    "fit": "jaxes.training:fit",
    "load": "jaxes.training:load",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'jaxes' has no attribute {name!r}")
    module, _, attribute = _LATER[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATER])
