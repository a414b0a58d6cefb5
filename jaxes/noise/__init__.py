"""Perturbations: sample many, apply one to parameters, add many up.

Every kind is one `Noise`, so every gradient-type strategy works with each of them. Members that `low_rank` makes are
trees of factors, which `jaxes.vmap` runs. A perturbation is a function of the generation's key and of its unit's id
alone; a unit is an antithetic pair, or a member where there are no pairs.

>>> import jax, jax.numpy as jnp
>>> params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
>>> noise = gaussian()
>>> z = noise.sample(jax.random.key(0), jnp.arange(4), params)
>>> z["w"].shape
(4, 3, 2)
"""

from jaxes.noise.colored import colored
from jaxes.noise.dense import gaussian, rademacher
from jaxes.noise.kind import Noise
from jaxes.noise.low_rank import low_rank
from jaxes.noise.names import NOISES, noise_of
from jaxes.noise.orthogonal import orthogonal
from jaxes.noise.subset import subset
from jaxes.noise.table import table

__all__ = [
    "NOISES",
    "Noise",
    "colored",
    "gaussian",
    "low_rank",
    "noise_of",
    "orthogonal",
    "rademacher",
    "subset",
    "table",
]
