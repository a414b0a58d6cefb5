"""Scores of the recommended parameters, and what the metrics say of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.problem import Problem
from jaxes.strategy import Strategy
from jaxes.support import keys
from jaxes.support.keys import Stream
from jaxes.support.numerals import is_real

Evaluate = Callable[[Any, Any, jax.Array], Any]
"""`(params, problem_state, key) -> float[episodes]`, or an object whose `returns` they are: the scores of parameters"""

COLUMNS = ("evaluation", "evaluation_std", "evaluation_rank")

CONFIRMATIONS = 4  # times as many fresh episodes as an evaluation has must reach the target too


def scoring(strategy: Strategy, problem: Problem, evaluate: Evaluate) -> Callable[[Any, jax.Array], jax.Array]:
    """The scores of a run's recommended parameters as a function of its carry and a key, jitted unless Python plays."""

    def score(carry, key):
        out = evaluate(strategy.recommend(carry[0]), carry[1], key)
        out = getattr(out, "returns", out)
        try:
            scores = jnp.asarray(out)
        except (TypeError, ValueError):
            scores = None
        if scores is None or scores.ndim > 1 or scores.size == 0 or not is_real(scores.dtype):
            got = repr(out) if scores is None else f"{scores.dtype}{list(scores.shape)}"
            raise ValueError(f"evaluate must return float[episodes], the score of each, got {got}")
        return jnp.atleast_1d(scores).astype(jnp.promote_types(scores.dtype, jnp.float32))

    return score if problem.host else jax.jit(score)


def confirmation(score: Callable[[Any, jax.Array], jax.Array], carry: Any, key: jax.Array, generation: int) -> float:
    """The mean score on fresh episodes, other ones after each generation.

    Args:
        score: from `scoring`.
        carry: of the run.
        key: of the run.
        generation: of the carry.
    """
    fresh = jax.random.fold_in(keys.stream(key, Stream.CONFIRMATION), generation)
    means = [float(jnp.mean(score(carry, one))) for one in jax.random.split(fresh, CONFIRMATIONS)]
    return sum(means) / len(means)


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
