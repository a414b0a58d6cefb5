"""What a member is paid in training: an environment's rewards, clipped, shifted, with a bonus for being alive."""

from typing import Any, NamedTuple

import numpy as np


class Pay(NamedTuple):
    """What training makes of rewards; evaluation pays them as they are."""

    clip: tuple[float, float] | None = None  # rewards below and above become these
    bonus: tuple[float, float, float] | None = None  # (t0, t1, bonus)

    def __call__(self, reward: Any, t: Any, shift: Any, xp: Any = np) -> Any:
        """What is added up.

        Args:
            reward: float[...]: the environment's.
            t: int32[...]: the step of the episode.
            shift: taken off.
            xp: NumPy, or jax.numpy in compiled programs.
        """
        if self.clip is not None:
            reward = xp.clip(reward, *self.clip)
        reward = reward - shift
        if self.bonus is not None:
            first, last, bonus = self.bonus
            reward = reward + bonus * xp.clip((t.astype(reward.dtype) - first) * (1 / (last - first)), 0, 1)
        return reward


def pay(clip_reward: tuple[float, float] | None, alive_bonus: tuple[int, int, float] | None) -> Pay:
    """Read the settings of `jaxes.rl.rollout`.

    Raises:
        ValueError: for settings that make no sense.
    """
    clip = _numbers("clip_reward", "(low, high) with low < high", clip_reward, lambda low, high: low < high)
    rising = lambda first, last, bonus: 0 <= first < last
    return Pay(clip, _numbers("alive_bonus", "(t0, t1, bonus) with 0 <= t0 < t1", alive_bonus, rising))


def _numbers(name: str, wanted: str, given: Any, sensible: Any) -> Any:
    if given is None:
        return None
    try:
        numbers = tuple(map(float, given))
        if sensible(*numbers):
            return numbers
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name} must be {wanted}, got {given!r}")
