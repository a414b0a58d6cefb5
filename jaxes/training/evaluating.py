"""Scores of the recommended parameters, and what the metrics say of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.problem import Problem
from jaxes.strategy import Strategy

Evaluate = Callable[[Any, Any, jax.Array], jax.Array]
"""`(params, problem_state, key) -> float[episodes]`: the scores of some parameters"""

COLUMNS = ("evaluation", "evaluation_std", "evaluation_rank")


def scoring(strategy: Strategy, problem: Problem, evaluate: Evaluate, key: jax.Array) -> Callable[[Any], jax.Array]:
    """The scores of a run's recommended parameters as a function of its carry, jitted unless Python plays."""
    score = lambda carry: evaluate(strategy.recommend(carry[0]), carry[1], key)
    return score if problem.host else jax.jit(score)


def summary(scores: Any, fitness: Any) -> dict[str, float]:
    """The `COLUMNS` of a row of metrics.

    The rank of a score is the share of the members that it is above, and the rank of an evaluation the mean rank of its
    scores (`EvalPopRank` of OpenAI's code); a member or a score that is NaN is below all others.

    Args:
        scores: float[episodes].
        fitness: float[members].
    """
    ordered = np.sort(fitness)  # NaN last
    valid = ordered[: np.count_nonzero(~np.isnan(ordered))]
    below = np.where(np.isnan(scores), 0, np.searchsorted(valid, scores) + len(ordered) - len(valid))
    figures = float(jnp.mean(scores)), float(jnp.std(scores)), float(np.mean(below)) / len(ordered)
    return dict(zip(COLUMNS, figures, strict=True))
