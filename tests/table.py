"""The one table of all strategies; a new strategy gets the contract tests by adding a row."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

import jaxes
from jaxes import Strategy
from jaxes.support import trees


class Row(NamedTuple):
    make: Callable[..., Strategy]  # make(population_size=8, sigma=0.1, **options)
    numbers: dict[str, float]  # what init takes, each with a value other than its default
    schedules: tuple[str, ...] = ()  # the factory's arguments that may be optax schedules
    ranks: bool = True  # reads the order of the fitness only
    gradient: bool = False  # takes tx, noise and shaping
    antithetic: bool = False  # by default
    adapts: bool = True  # sigma
    centers: int = 0  # the first members, which are the mean itself
    learns: bool = True  # members get better
    carries: bool = False  # members are sums on top of the last ones, so that different roundings add up
    remembers: bool = False  # compares with fitness of earlier generations; recommends the best member ever told
    rare: tuple[
        str, ...
    ] = ()  # numbers that matter in rare states only; a test of the strategy's own brings them about
    faster: Mapping[str, float] = MappingProxyType({})  # numbers with which 60 generations are enough to improve


def row(factory: Callable[..., Strategy], numbers: dict[str, float], *, usual_sigma: float = 0.1, **facts) -> Row:
    def make(population_size=8, sigma=usual_sigma, **options):
        return factory(population_size, sigma, **options)

    return Row(make, numbers, **facts)


RATES = {"c_m": 0.9, "c_sigma": 0.2, "d_sigma": 1.5, "c_c": 0.3, "c_1": 0.05, "c_mu": 0.1}

SEPARABLE = {"c_sigma": 0.2, "d_sigma": 1.5, "c_c": 0.3, "c_cov": 0.4, "mu_cov": 1.5}
MATRIX = {name: RATES[name] for name in ("c_sigma", "d_sigma", "c_1", "c_mu")}

DIFFERENTIAL = {"mutation": 0.8, "dither": 0.1, "recombination": 0.3}
SWARM = {"inertia": 0.5, "cognitive": 1.0, "social": 1.0}
remembering = functools.partial(row, remembers=True)
RATED = ("sigma", "learning_rate", "weight_decay")
estimator = functools.partial(
    row, gradient=True, antithetic=True, adapts=False, faster=MappingProxyType({"learning_rate": 0.1})
)
LIMITED = {"c_sigma": 0.3, "d_sigma": 1.5, "c_d": 0.3, "base_d": 2.0, "c_c": 0.4, "base_c": 3.0}
RANK_M = {"c_c": 0.3, "c_cov": 0.2, "c_s": 0.2, "q_star": 0.2, "d_sigma": 1.5, "gap": 0.5}
STRETCHED = {name: RATES[name] for name in ("c_sigma", "d_sigma", "c_c", "c_1", "c_mu")}
FAST_MOVING = {
    "learning_rate": 0.7,
    "eta_move": 0.7,
    "eta_stag": 0.5,
    "eta_conv": 0.4,
    "eta_b": 0.1,
    "c_1": 0.1,
    "c_sigma": 0.2,
    "c_c": 0.3,
    "alpha": 0.5,
}
AMALGAM = {"eta_sigma": 0.3, "eta_shift": 0.4, "delta_ams": 1.0, "eta_dec": 0.7, "theta_sdr": 0.1}

TABLE: dict[str, Row] = {
    "simple_es": row(jaxes.simple_es, {"sigma": 0.3}, schedules=("sigma",)),
    "nes": row(
        jaxes.nes,
        {"sigma": 0.3, "learning_rate": 0.7, "sigma_learning_rate": 0.2},
        schedules=("sigma", "learning_rate", "sigma_learning_rate"),
    ),
    "open_es": estimator(
        jaxes.open_es,
        {"sigma": 0.3, "learning_rate": 0.2, "weight_decay": 0.1},
        schedules=RATED,
    ),
    "pgpe": row(
        jaxes.pgpe,
        {"sigma": 0.3, "learning_rate": 0.2, "sigma_learning_rate": 0.3, "sigma_change": 0.01, "weight_decay": 0.1},
        schedules=("learning_rate", "sigma_learning_rate", "sigma_change", "weight_decay"),
        gradient=True,
        antithetic=True,
        usual_sigma=1.0,  # where the objective is nearly linear, pairs of ranks say nothing about sigma
    ),
    "ars": estimator(
        jaxes.ars,
        {"sigma": 0.3, "learning_rate": 0.2, "weight_decay": 0.1},
        schedules=RATED,
        ranks=False,
    ),
    "esmc": estimator(
        jaxes.esmc,
        {"sigma": 0.3, "learning_rate": 0.2, "weight_decay": 0.1},
        schedules=RATED,
        ranks=False,
        centers=2,
    ),
    "guided_es": estimator(
        jaxes.guided_es,
        {"sigma": 0.3, "learning_rate": 0.2, "weight_decay": 0.1, "alpha": 0.2, "beta": 1.0},
        schedules=(*RATED, "alpha", "beta"),
        ranks=False,
    ),
    "pes": estimator(
        jaxes.pes,
        {"sigma": 0.3, "learning_rate": 0.2, "weight_decay": 0.1},
        schedules=RATED,
        ranks=False,
    ),
    "nres": estimator(
        jaxes.nres,
        {"sigma": 0.3, "learning_rate": 0.2, "weight_decay": 0.1},
        schedules=RATED,
        ranks=False,
    ),
    "asebo": estimator(
        functools.partial(jaxes.asebo, warmup=0.0),
        {
            "sigma": 0.3,
            "warmup": 5.0,
            "threshold": 0.0,
            "covariance_decay": 0.3,
            "probability_rate": 1.0,
            "probability_floor": 0.3,
            "learning_rate": 0.2,
            "weight_decay": 0.1,
        },
        schedules=("sigma", "threshold", "covariance_decay", "learning_rate", "weight_decay"),
        ranks=False,
    ),
    "sv_open_es": estimator(
        jaxes.sv_open_es,
        {"sigma": 0.3, "bandwidth": 0.3, "repulsion": 0.5, "learning_rate": 0.2, "weight_decay": 0.1},
        schedules=("sigma", "bandwidth", "repulsion", "learning_rate", "weight_decay"),
    ),
    "sv_cma_es": row(
        functools.partial(jaxes.sv_cma_es, particles=2),
        {"sigma": 0.3, "bandwidth": 0.3, "repulsion": 0.5},
        schedules=("bandwidth", "repulsion"),
    ),
    "discovered_es": row(
        jaxes.discovered_es,
        {"sigma": 0.3, "temperature": 5.0, "learning_rate": 0.7, "sigma_learning_rate": 0.2},
        schedules=("temperature", "learning_rate", "sigma_learning_rate"),
    ),
    "snes": row(
        jaxes.snes,
        {"sigma": 0.3, "learning_rate": 0.7, "sigma_learning_rate": 0.2},
        schedules=("learning_rate", "sigma_learning_rate"),
    ),
    "cem": row(
        functools.partial(jaxes.cem, elite_fraction=0.5),
        {"sigma": 0.3, "variance_noise": 0.2, "minimum_sigma": 0.2, "momentum": 0.2},
        schedules=("variance_noise", "minimum_sigma", "momentum"),
    ),
    "cma_es": row(jaxes.cma_es, {"sigma": 0.3, **RATES}, schedules=tuple(RATES)),
    "xnes": row(
        jaxes.xnes,
        {"sigma": 0.3, "learning_rate": 0.7, "sigma_learning_rate": 0.2, "shape_learning_rate": 0.3},
        schedules=("learning_rate", "sigma_learning_rate", "shape_learning_rate"),
    ),
    "sep_cma_es": row(
        jaxes.sep_cma_es,
        {"sigma": 0.3, **SEPARABLE},
        schedules=tuple(SEPARABLE),
    ),
    "ma_es": row(jaxes.ma_es, {"sigma": 0.3, **MATRIX}, schedules=tuple(MATRIX)),
    "random_search": remembering(jaxes.random_search, {"sigma": 0.3}, schedules=("sigma",), learns=False),
    "hill_climbing": remembering(jaxes.hill_climbing, {"sigma": 0.3}, schedules=("sigma",)),
    "simulated_annealing": remembering(
        jaxes.simulated_annealing,
        {"sigma": 0.3, "temperature": 1000.0, "cooling": 0.5},
        usual_sigma=3.0,  # so that neighbors are worse
        schedules=("sigma", "temperature", "cooling"),
        ranks=False,
    ),
    "gradientless_descent": remembering(
        functools.partial(jaxes.gradientless_descent, ratio=0.2),
        {"sigma": 0.3, "ratio": 0.1},
        schedules=("sigma", "ratio"),
    ),
    "simple_ga": remembering(jaxes.simple_ga, {"sigma": 0.3}, schedules=("sigma",)),
    "mr15_ga": remembering(jaxes.mr15_ga, {"sigma": 0.3, "factor": 1.5}, schedules=("factor",)),
    "samr_ga": remembering(jaxes.samr_ga, {"sigma": 0.3, "tau": 1.5}, schedules=("tau",)),
    "gesmr_ga": remembering(jaxes.gesmr_ga, {"sigma": 0.3, "tau": 1.5}, schedules=("tau",), ranks=False),
    "differential_evolution": remembering(
        jaxes.differential_evolution,
        {"sigma": 0.3, **DIFFERENTIAL},
        schedules=tuple(DIFFERENTIAL),
    ),
    "particle_swarm": remembering(jaxes.particle_swarm, {"sigma": 0.3, **SWARM}, schedules=tuple(SWARM), carries=True),
    "lm_ma_es": row(jaxes.lm_ma_es, {"sigma": 0.3, **LIMITED}, schedules=tuple(LIMITED), rare=("base_d",)),
    "rm_es": row(
        jaxes.rm_es,
        {"sigma": 0.3, **RANK_M},
        schedules=tuple(RANK_M),
        ranks=False,  # compares with the fitness of the last generation
        rare=("gap",),
    ),
    "vd_cma_es": row(jaxes.vd_cma_es, {"sigma": 0.3, **STRETCHED}, schedules=tuple(STRETCHED)),
    "cr_fm_nes": row(
        jaxes.cr_fm_nes,
        {"sigma": 0.3, **FAST_MOVING},
        schedules=tuple(FAST_MOVING),
        antithetic=True,
        rare=("eta_move", "eta_stag", "eta_conv", "c_1", "alpha"),  # each of some phases of the search only
    ),
    "iamalgam": row(
        jaxes.iamalgam,
        {"sigma": 0.3, **AMALGAM},
        schedules=tuple(AMALGAM),
        ranks=False,  # compares with the best fitness ever
        rare=("eta_dec", "theta_sdr"),
    ),
}

# Further settings of the same strategies that the contract holds for.
VARIANTS: dict[str, Row] = {
    "open_es, one-sided, sgd": TABLE["open_es"]._replace(
        make=lambda population_size=8, sigma=0.1, **options: jaxes.open_es(
            population_size, sigma, **{"antithetic": False, "tx": optax.sgd(0.1, momentum=0.9), **options}
        ),
        antithetic=False,
    ),
    "open_es, orthogonal, z_score, l2": TABLE["open_es"]._replace(
        make=lambda population_size=8, sigma=0.1, **options: jaxes.open_es(
            population_size,
            sigma,
            **{"noise": jaxes.noise.orthogonal(2), "shaping": jaxes.shaping.z_score(), "decay": "l2", **options},
        ),
        ranks=False,
    ),
    "ars, top": TABLE["ars"]._replace(
        make=lambda population_size=8, sigma=0.1, **options: jaxes.ars(population_size, sigma, **{"top": 2, **options})
    ),
    "pes, pieces": TABLE["pes"]._replace(
        make=lambda population_size=8, sigma=0.1, **options: jaxes.pes(
            population_size, sigma, **{"unrolls": 2, "stagger": True, **options}
        )
    ),
    "nres, pieces": TABLE["nres"]._replace(
        make=lambda population_size=8, sigma=0.1, **options: jaxes.nres(
            population_size, sigma, **{"unrolls": 2, "stagger": True, **options}
        )
    ),
    "cma_es, not active": TABLE["cma_es"]._replace(
        make=lambda population_size=8, sigma=0.1, **options: jaxes.cma_es(
            population_size, sigma, **{"active": False, **options}
        )
    ),
}

VARIANTS["iamalgam, univariate"] = TABLE["iamalgam"]._replace(
    make=lambda population_size=8, sigma=0.1, **options: jaxes.iamalgam(
        population_size, sigma, **{"covariance": "univariate", **options}
    )
)

ALL = {**TABLE, **VARIANTS}


def tree(dtype=jnp.float32):
    """Nested parameters with a scalar among them."""
    return {
        "layer": {"kernel": jnp.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3)},
        "scale": jnp.ones((), dtype),
    }


def objective(params):
    """Higher is better; smooth, one optimum, no two members alike."""
    wide = trees.number_dtype(params)
    params = jax.tree.map(lambda x: x.astype(wide), params)
    kernel, scale = params["layer"]["kernel"], params["scale"]
    return -(jnp.sum((kernel - 0.5) ** 2) + 3 * (scale - 2) ** 2)


def facts(state):
    """What must not change from one generation to the next: the tree, shapes, dtypes, weak types."""
    return jax.tree.map(lambda x: f"{x.dtype}{x.shape}{' weak' if getattr(x, 'weak_type', False) else ''}", state)


def numbers_of(tree):
    """The leaves as plain arrays, keys as their data."""
    raw = lambda x: (
        jnp.asarray(x)
        if not hasattr(x, "dtype")
        else jax.random.key_data(x)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        else x
    )
    return [raw(x) for x in jax.tree.leaves(tree)]
