"""The one table of all strategies; a new strategy gets the contract tests by adding a row."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

import jaxes
from jaxes import Strategy, trees


class Row(NamedTuple):
    make: Callable[..., Strategy]  # make(population_size=8, sigma=0.1, **options)
    numbers: dict[str, float]  # what init takes, each with a value other than its default
    schedules: tuple[str, ...] = ()  # the factory's arguments that may be optax schedules
    ranks: bool = True  # reads the order of the fitness only
    gradient: bool = False  # takes tx, noise and shaping
    antithetic: bool = False  # by default
    adapts: bool = True  # sigma
    faster: Mapping[str, float] = MappingProxyType({})  # numbers with which 60 generations are enough to improve


def row(factory: Callable[..., Strategy], numbers: dict[str, float], *, usual_sigma: float = 0.1, **facts) -> Row:
    def make(population_size=8, sigma=usual_sigma, **options):
        return factory(population_size, sigma, **options)

    return Row(make, numbers, **facts)


RATES = {"c_m": 0.9, "c_sigma": 0.2, "d_sigma": 1.5, "c_c": 0.3, "c_1": 0.05, "c_mu": 0.1}

TABLE: dict[str, Row] = {
    "simple_es": row(jaxes.simple_es, {"sigma": 0.3}, schedules=("sigma",)),
    "nes": row(
        jaxes.nes,
        {"sigma": 0.3, "learning_rate": 0.7, "sigma_learning_rate": 0.2},
        schedules=("sigma", "learning_rate", "sigma_learning_rate"),
    ),
    "open_es": row(
        jaxes.open_es,
        {"sigma": 0.3, "learning_rate": 0.2, "weight_decay": 0.1},
        schedules=("sigma", "learning_rate", "weight_decay"),
        gradient=True,
        antithetic=True,
        adapts=False,
        faster={"learning_rate": 0.1},
    ),
    "pgpe": row(
        jaxes.pgpe,
        {"sigma": 0.3, "learning_rate": 0.2, "sigma_learning_rate": 0.3, "sigma_change": 0.01, "weight_decay": 0.1},
        schedules=("learning_rate", "sigma_learning_rate", "sigma_change", "weight_decay"),
        gradient=True,
        antithetic=True,
        usual_sigma=1.0,  # where the objective is nearly linear, pairs of ranks say nothing about sigma
    ),
    "snes": row(
        jaxes.snes,
        {"sigma": 0.3, "learning_rate": 0.7, "sigma_learning_rate": 0.2},
        schedules=("learning_rate", "sigma_learning_rate"),
    ),
    "cem": row(
        functools.partial(jaxes.cem, elite_fraction=0.5),
        {"sigma": 0.3, "variance_noise": 0.2},
        schedules=("variance_noise",),
    ),
    "cma_es": row(jaxes.cma_es, {"sigma": 0.3, **RATES}, schedules=tuple(RATES)),
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
    "cma_es, not active": TABLE["cma_es"]._replace(
        make=lambda population_size=8, sigma=0.1, **options: jaxes.cma_es(
            population_size, sigma, **{"active": False, **options}
        )
    ),
}

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
