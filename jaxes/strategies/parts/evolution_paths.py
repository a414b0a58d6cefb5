"""Weighted recombination and evolution paths: what CMA-ES and its descendants share.

Hansen: "The CMA Evolution Strategy: A Tutorial", 2016, arXiv:1604.00772; equation numbers are the tutorial's.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.strategies.parts import flat
from jaxes.support import ranking


class Selection(NamedTuple):
    """What members weigh in a generation."""

    weights: jax.Array  # float[population_size]: weights of the members in the step of the mean, 0 or more, sum one
    mu_eff: jax.Array  # float[]: the variance-effective number of selected members (eq. 8)


def logarithmic(population_size: int, edge: float | None = None) -> tuple[np.ndarray, float]:
    """Weights of the better half, `ln(edge) - ln(rank)` with sum one, and their mu_eff (eqs. 8, 49).

    Args:
        population_size: also the length of the weights; the worse half weighs zero.
        edge: the rank at which a weight would be zero; (population_size + 1) / 2 by default.
    """
    mu = population_size // 2
    edge = (population_size + 1) / 2 if edge is None else edge
    raw = np.log(edge) - np.log(np.arange(1, population_size + 1))
    weights = np.where(np.arange(population_size) < mu, raw, 0) / raw[:mu].sum()
    return weights, float(1 / (weights**2).sum())


def select(table: np.ndarray, fitness: jax.Array) -> Selection:
    """The weights of a table by rank, as ties and invalid members change them, and mu_eff of these weights.

    So paths stay standard normal under random selection, whoever ties or fails.

    Args:
        table: float[population_size], best first, sum one.
        fitness: float[population_size].
    """
    some = ~jnp.all(jnp.isnan(fitness))
    weights = ranking.recombination(jnp.asarray(table, fitness.dtype), fitness)
    return Selection(weights, 1 / jnp.where(some, jnp.sum(weights**2), 1))


def expected_length(n: int) -> float:
    """The expected length of a standard normal vector of n numbers, as the tutorial approximates it."""
    return math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))


def gain(rate: jax.Array, mu_eff: jax.Array | float) -> jax.Array:
    """The factor of a weighted mean of standard normal steps that keeps a path's variance at one."""
    return jnp.sqrt(rate * (2 - rate) * mu_eff)


def cumulated(path: jax.Array, rate: jax.Array, mu_eff: jax.Array | float, step: jax.Array) -> jax.Array:
    """The path after one more step (eqs. 43, 45)."""
    return (1 - rate) * path + gain(rate, mu_eff) * step


def step_size(sigma: jax.Array, path: jax.Array, rate: jax.Array, damping: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cumulative step-size adaptation (eq. 44): the new sigma, and the path's length over its expectation."""
    length = flat.norm(path) * (1 / expected_length(path.shape[0]))
    return sigma * jnp.exp(rate / damping * (length - 1)), length


def moving(length: jax.Array, rate: jax.Array, step: jax.Array, n: int) -> jax.Array:
    """h_sigma, 1.0 or 0.0: whether the step size's path, of this relative length, is no longer than usual."""
    settled = jnp.sqrt(1 - (1 - rate) ** (2 * (step + 1).astype(length.dtype)))
    return (length < (1.4 + 2 / (n + 1)) * settled).astype(length.dtype)


def rates(n: int, mu_eff: float) -> dict[str, float]:
    """The tutorial's c_sigma, d_sigma, c_c, c_1 and c_mu of Table 1 with alpha_cov = 2, eqs. 55-58."""
    c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
    return {
        "c_sigma": c_sigma,
        "d_sigma": damping(n, mu_eff, c_sigma),
        "c_c": (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),
        "c_1": c_1,
        "c_mu": min(1 - c_1, 2 * (mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff)),
    }


def damping(n: int, mu_eff: float, c_sigma: float) -> float:
    """The default d_sigma of Table 1."""
    return 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma
