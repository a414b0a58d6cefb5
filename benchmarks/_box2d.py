"""Policies in gymnasium's Box2D environments, a batch of episodes at a time."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from jaxes.training.trained import Trained


def score(policy: Trained, env_id: str, episodes: int = 100, seed: int = 0, **options: Any) -> np.ndarray:
    """Returns of a policy from `jaxes.load` in an environment of gymnasium's, to its own time limit.

    Args:
        policy: which forgets its episodes before and afterwards.
        env_id: such as "LunarLander-v3".
        episodes: all are played at once.
        seed: of the first episode; the others have the numbers that follow.
        options: of `gymnasium.make`.

    Returns:
        float64[episodes].
    """
    policy.reset()
    returns = played(policy, env_id, episodes, seed, **options)
    policy.reset()
    return returns


def played(act: Callable[[np.ndarray], Any], env_id: str, episodes: int, seed: int = 0, **options: Any) -> np.ndarray:
    """Likewise of a function from observations, [episodes, ...], to as many actions."""
    envs = [gymnasium.make(env_id, **options) for _ in range(episodes)]
    seen = np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(envs)])
    returns, alive = np.zeros(episodes), np.ones(episodes, bool)
    while alive.any():
        actions = act(seen)
        for i in np.flatnonzero(alive):
            seen[i], reward, terminated, truncated, _ = envs[i].step(actions[i])
            returns[i] += reward
            alive[i] = not (terminated or truncated)
    for env in envs:
        env.close()
    return returns
