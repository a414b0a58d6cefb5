"""The rewards of training: those of the environment, clipped, shifted, and with a bonus for being alive."""

from typing import Any, NamedTuple

import numpy as np


class Pay(NamedTuple):
    """How training changes rewards; evaluation takes them as they are.

    >>> import numpy as np
    >>> Pay(clip=(-1.0, 1.0))(np.float32(-100), np.int32(3), shift=1.0).item()
    -2.0
    """

    clip: tuple[float, float] | None = None  # the range that rewards are clipped to
    bonus: tuple[float, float, float] | None = None  # (t0, t1, bonus)

    def __call__(self, reward: Any, t: Any, shift: Any, xp: Any = np) -> Any:
        """The rewards that are summed.

        Args:
            reward: float[...]: from the environment.
            t: int32[...]: the number of the step in its episode.
            shift: float[] or a number: subtracted.
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
    """Read the settings `clip_reward` and `alive_bonus` of `jaxes.rl.rollout`.

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
