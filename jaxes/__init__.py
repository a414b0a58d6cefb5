"""Evolution strategies in JAX: pure functions from a key, parameters and fitness to better parameters."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxes import lowrank, noise, parallel, shaping, wrappers
from jaxes.blocks import Block
from jaxes.lanewise import lanewise
from jaxes.lowrank import materialize, vmap
from jaxes.parallel import strict
from jaxes.problem import Problem, generation, minimize, problem
from jaxes.search.check import check
from jaxes.search.doors.optuna_door import optuna_sampler
from jaxes.search.doors.scipy_door import scipy_method
from jaxes.search.esopt import ESOpt
from jaxes.search.minimization import minimize_function
from jaxes.search.run import run
from jaxes.search.smoothing import es_value_and_grad
from jaxes.strategies import (
    STRATEGIES,
    ars,
    asebo,
    cem,
    cma_es,
    cr_fm_nes,
    differential_evolution,
    discovered_es,
    esmc,
    gesmr_ga,
    gradientless_descent,
    guide,
    guided_es,
    hill_climbing,
    iamalgam,
    lm_ma_es,
    ma_es,
    mr15_ga,
    nes,
    nres,
    open_es,
    particle_swarm,
    pes,
    pgpe,
    random_search,
    rm_es,
    samr_ga,
    sep_cma_es,
    simple_es,
    simple_ga,
    simulated_annealing,
    snes,
    sv_cma_es,
    sv_open_es,
    vd_cma_es,
    xnes,
)
from jaxes.strategies.parts.clip_up import clip_up
from jaxes.strategy import Info, Strategy
from jaxes.support.trees import flatten_params
from jaxes.unrolled import unrolled

if TYPE_CHECKING:
    from jaxes import envs, planning, rl, supervised, training
    from jaxes.training import Report, fit, load, plots

__version__ = "0.1.0"

__all__ = [
    "STRATEGIES",
    "iamalgam",
    "cr_fm_nes",
    "vd_cma_es",
    "rm_es",
    "lm_ma_es",
    "random_search",
    "hill_climbing",
    "simulated_annealing",
    "gradientless_descent",
    "simple_ga",
    "mr15_ga",
    "samr_ga",
    "gesmr_ga",
    "differential_evolution",
    "particle_swarm",
    "ma_es",
    "sep_cma_es",
    "xnes",
    "cem",
    "cma_es",
    "nes",
    "open_es",
    "simple_es",
    "snes",
    "pgpe",
    "ars",
    "esmc",
    "discovered_es",
    "guided_es",
    "pes",
    "nres",
    "asebo",
    "sv_open_es",
    "sv_cma_es",
    "Block",
    "ESOpt",
    "check",
    "Info",
    "Problem",
    "Strategy",
    "clip_up",
    "es_value_and_grad",
    "flatten_params",
    "generation",
    "guide",
    "minimize",
    "minimize_function",
    "scipy_method",
    "optuna_sampler",
    "problem",
    "run",
    "strict",
    "unrolled",
    "materialize",
    "lanewise",
    "vmap",
    "lowrank",
    "noise",
    "parallel",
    "shaping",
    "wrappers",
    "Report",
    "envs",
    "fit",
    "load",
    "planning",
    "plots",
    "rl",
    "supervised",
    "training",
]

# What needs more than JAX and optax is imported when it is first used.
_LATER = {
    "envs": "jaxes.envs",
    "rl": "jaxes.rl",
    "supervised": "jaxes.supervised",
    "training": "jaxes.training",
    "planning": "jaxes.planning",
    "plots": "jaxes.training.plots",
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
