"""Learning curves of several seeds by one compiled program, and what is read off them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes import rl
from jaxes.envs import Env
from jaxes.rl import Policy
from jaxes.strategy import Strategy


def curves(
    env: Env, policy: Policy, strategy: Strategy, *, generations: int, seeds: int, episodes: int = 32, **rollout: Any
) -> np.ndarray:
    """float[seeds, generations]: the mean return of held-out episodes, without noise, after each generation.

    Args:
        env: of training and evaluation.
        policy: drawn anew for each seed.
        strategy: what trains it.
        generations: 1 or more.
        seeds: 1 or more, counted from 0.
        episodes: of an evaluation, the same after every generation of a seed.
        **rollout: of `jaxes.rl.rollout`.
    """
    problem = rl.rollout(env, policy, **rollout)
    generation = jaxes.generation(strategy, problem)
    evaluate = rl.evaluation(env, policy, episodes=episodes)

    def one(seed):
        first, search, play, held_out = jax.random.split(jax.random.key(seed), 4)

        def step(carry, _):
            carry, _ = generation(carry)
            state, lanes = carry
            return carry, evaluate(strategy.recommend(state), lanes.normalizer, held_out).returns.mean()

        carry = (strategy.init(search, policy.init(first)), problem.init(play))
        return jax.lax.scan(step, carry, length=generations)[1]

    return np.asarray(jax.jit(lambda seeds: jax.lax.map(one, seeds))(jnp.arange(seeds)), float)


def reached(curve: np.ndarray, target: float) -> float:
    """Generations until a curve is at `target` or above for the first time; infinite if it never is.

    >>> reached(np.array([1.0, 3.0, 2.0]), 2.0)
    2.0
    """
    above = np.flatnonzero(curve >= target)
    return float(above[0]) + 1 if above.size else math.inf


def summary(curves: np.ndarray) -> dict[str, list[float]]:
    """Median, lowest and highest of the seeds after each generation, for a JSON file."""
    short = lambda values: [round(float(value), 1) for value in values]
    return {
        "median": short(np.median(curves, axis=0)),
        "low": short(curves.min(axis=0)),
        "high": short(curves.max(axis=0)),
    }


def band(axes: Any, rows: dict[str, list[float]], color: str, label: str) -> None:
    """Draw a `summary`: the median as a line, the range of the seeds as a band."""
    x = range(1, len(rows["median"]) + 1)
    axes.plot(x, rows["median"], color=color, linewidth=1.8, label=label)
    axes.fill_between(x, rows["low"], rows["high"], color=color, alpha=0.15, linewidth=0)
