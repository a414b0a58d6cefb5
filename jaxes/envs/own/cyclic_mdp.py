"""CyclicMDP: one action leads on around a ring of states, and any other ends the episode.

A small problem with a long horizon, from the code of Suri et al. 2022, "Maximum Mutation Reinforcement Learning for
Scalable Control" (ESAC, arXiv:2007.13690): every step of a thousand must be right.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs import drawings
from jaxes.envs.protocol import Discrete, Env, EnvState
from jaxes.support import checks

WRONG = -1.0  # the reward of an action that ends the episode


def cyclic_mdp(
    num_states: int = 3,
    num_actions: int = 3,
    max_steps: int = 1000,
    rewards: Sequence[float] | None = None,
    good_action: int = 1,
) -> Env:
    """The environment "jaxes/CyclicMDP".

    Args:
        num_states: how many states the ring has, 2 or more. An episode starts in the first. Observations are one-hot,
            float32[num_states].
        num_actions: choices in every state, 2 or more.
        max_steps: the usual time limit.
        rewards: for leaving each state by the good action; by default 1, and 2 for the step that closes the ring.
        good_action: the action that leads on; any other ends the episode with a reward of -1.

    Raises:
        ValueError: if an argument makes no sense; the message names it.

    >>> import jax
    >>> env = cyclic_mdp()
    >>> state = env.step(env.reset(jax.random.key(0)), 1)
    >>> state.observation.tolist(), float(state.reward), bool(state.done)
    ([0.0, 1.0, 0.0], 1.0, False)
    """
    for name, value in (("num_states", num_states), ("num_actions", num_actions)):
        checks.count(name, value)
        if value < 2:
            raise ValueError(f"{name} must be 2 or more, got {value}")
    checks.count("max_steps", max_steps)
    checks.integer("good_action", good_action, 0, num_actions - 1)
    rewards = (*(1.0,) * (num_states - 1), 2.0) if rewards is None else tuple(map(float, rewards))
    if len(rewards) != num_states or not all(map(math.isfinite, rewards)):
        raise ValueError(f"rewards must be {num_states} finite numbers, one for leaving each state; got {rewards}")
    earned = np.array(rewards, np.float32)

    def see(at, reward, done) -> EnvState:
        observation = (jnp.arange(num_states) == at).astype(jnp.float32)
        return EnvState(at, observation, reward, done)

    def reset(key):
        del key
        return see(jnp.int32(0), jnp.float32(0), jnp.bool_(False))

    def step(state, action):
        at, good = state.physics, jnp.equal(action, good_action)  # NumPy and Python numbers are actions too
        after = jnp.where(good, (at + 1) % num_states, at)
        return see(after, jnp.where(good, jnp.asarray(earned)[at], jnp.float32(WRONG)), ~good)

    shape = jax.ShapeDtypeStruct((num_states,), jnp.float32)
    frames = lambda moments, height=240, width=240: _frames(moments, rewards, height, width)
    return Env("jaxes/CyclicMDP", reset, step, shape, Discrete(num_actions), max_steps, 0.1, frames)


def cyclic_mdp_equal(num_states: int = 3, **options: Any) -> Env:
    """The variant in which every good action earns 1 (karush17/Deep-Eligibility-Traces, `MDPs/cyclic_mdp.py`)."""
    return cyclic_mdp(num_states, rewards=(1.0,) * num_states, **options)._replace(name="jaxes/CyclicMDPEqual")


def best_return(rewards: Sequence[float], max_steps: int) -> float:
    """The return of an episode with only good actions.

    >>> best_return((1, 1, 2), 1000), best_return((1, 1, 1), 1000)
    (1333.0, 1000.0)
    """
    rounds, rest = divmod(max_steps, len(rewards))
    return float(rounds * sum(rewards) + sum(rewards[:rest]))


def random_return(rewards: Sequence[float], num_actions: int, max_steps: int) -> float:
    """The expected return of uniformly random actions.

    >>> [round(random_return(rewards, 3, 1000), 4) for rewards in ((1, 1, 2), (1, 1, 1))]
    [-0.4615, -0.5]
    """
    p, n = 1 / num_actions, len(rewards)
    step = lambda t: p * rewards[t % n] + (1 - p) * WRONG
    return math.fsum(p**t * step(t) for t in range(max_steps))


def _frames(moments: list[Any], rewards: tuple[float, ...], height: int, width: int) -> list[np.ndarray]:
    """The ring, with the state of the moment filled in."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(rewards)) / len(rewards)
    x, y = np.cos(angles), np.sin(angles)
    way = {"arrowstyle": "-|>", "color": "0.6", "shrinkA": 16, "shrinkB": 16, "connectionstyle": "arc3,rad=-0.2"}

    def draw(axes, at, _):
        axes.set_aspect("equal")
        axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
        for i, reward in enumerate(rewards):
            j = (i + 1) % len(rewards)
            axes.annotate("", (x[j], y[j]), (x[i], y[i]), arrowprops=way)
            label = 0.8 * (x[i] + x[j]) / 2, 0.8 * (y[i] + y[j]) / 2
            axes.text(*label, f"{reward:+g}", ha="center", va="center")
        here = np.arange(len(rewards)) == int(at)
        axes.scatter(x, y, 500, np.where(here, "tab:orange", "white"), edgecolors="0.3", zorder=2)

    return drawings.scenes(draw, moments, None, height, width)
