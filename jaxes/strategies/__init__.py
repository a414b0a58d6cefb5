"""Evolution strategies, one in each file; `STRATEGIES` names them all.

Every factory returns a `jaxes.Strategy`, and all raise the same errors, whose messages name the argument:

- the factory: ValueError for a number or a choice outside its range, or a population that cannot be cut into `blocks`;
  TypeError for a `population_size` that is no int, or a schedule for a number that the strategy itself adapts;
- `init`: TypeError for a key that is not a typed one, parameters that are no float arrays, or a number that the
  strategy does not have; ValueError for a number outside its range, or one that follows a schedule;
- `ask`: TypeError for ids that are no vector of integers;
- `tell`: ValueError for a fitness of another shape than [population_size]; TypeError for one that is no real numbers.
"""

from collections.abc import Callable

from jaxes.strategies.ars import ars
from jaxes.strategies.asebo import asebo
from jaxes.strategies.cem import cem
from jaxes.strategies.cma_es import cma_es
from jaxes.strategies.cr_fm_nes import cr_fm_nes
from jaxes.strategies.differential_evolution import differential_evolution
from jaxes.strategies.discovered_es import discovered_es
from jaxes.strategies.esmc import esmc
from jaxes.strategies.gesmr_ga import gesmr_ga
from jaxes.strategies.gradientless_descent import gradientless_descent
from jaxes.strategies.guided_es import guide, guided_es
from jaxes.strategies.hill_climbing import hill_climbing
from jaxes.strategies.iamalgam import iamalgam
from jaxes.strategies.lm_ma_es import lm_ma_es
from jaxes.strategies.ma_es import ma_es
from jaxes.strategies.mr15_ga import mr15_ga
from jaxes.strategies.nes import nes
from jaxes.strategies.nres import nres
from jaxes.strategies.open_es import open_es
from jaxes.strategies.particle_swarm import particle_swarm
from jaxes.strategies.pes import pes
from jaxes.strategies.pgpe import pgpe
from jaxes.strategies.random_search import random_search
from jaxes.strategies.rm_es import rm_es
from jaxes.strategies.samr_ga import samr_ga
from jaxes.strategies.sep_cma_es import sep_cma_es
from jaxes.strategies.simple_es import simple_es
from jaxes.strategies.simple_ga import simple_ga
from jaxes.strategies.simulated_annealing import simulated_annealing
from jaxes.strategies.snes import snes
from jaxes.strategies.sv_cma_es import sv_cma_es
from jaxes.strategies.sv_open_es import sv_open_es
from jaxes.strategies.vd_cma_es import vd_cma_es
from jaxes.strategies.xnes import xnes
from jaxes.strategy import Strategy

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    make.__name__: make
    for make in (
        simple_es,
        nes,
        open_es,
        snes,
        cem,
        cma_es,
        pgpe,
        xnes,
        sep_cma_es,
        ma_es,
        random_search,
        hill_climbing,
        simulated_annealing,
        gradientless_descent,
        simple_ga,
        mr15_ga,
        samr_ga,
        gesmr_ga,
        differential_evolution,
        particle_swarm,
        ars,
        esmc,
        discovered_es,
        guided_es,
        lm_ma_es,
        rm_es,
        pes,
        nres,
        asebo,
        vd_cma_es,
        cr_fm_nes,
        sv_open_es,
        sv_cma_es,
        iamalgam,
    )
}

__all__ = [
    "STRATEGIES",
    "cem",
    "cma_es",
    "nes",
    "open_es",
    "simple_es",
    "snes",
    "pgpe",
    "xnes",
    "sep_cma_es",
    "ma_es",
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
    "ars",
    "esmc",
    "discovered_es",
    "guided_es",
    "guide",
    "lm_ma_es",
    "rm_es",
    "pes",
    "nres",
    "asebo",
    "vd_cma_es",
    "cr_fm_nes",
    "sv_open_es",
    "sv_cma_es",
    "iamalgam",
]
