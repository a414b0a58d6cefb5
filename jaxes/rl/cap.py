"""The time limit of training episodes: fixed, a multiple of their mean length, or growing once enough reach it.

Short episodes at first make a generation cheap while most members fall early anyway, and they reward moving more than
lingering.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Cap(NamedTuple):
    """The time limit, and how it changes; all numbers are traced."""

    steps: jax.Array  # float32[]: the limit, rounded down when used
    most: jax.Array  # float32[]: the limit never grows beyond this
    threshold: jax.Array  # float32[]: it grows when this share of the episodes is truncated
    ratio: jax.Array  # float32[]: the factor by which it grows
    means: jax.Array  # float32[]: how many mean lengths it is; 0 if it grows by `ratio` instead

    @property
    def limit(self) -> jax.Array:
        """int32[]: the limit in steps."""
        return self.steps.astype(jnp.int32)

    def update(self, episodes: jax.Array, truncated: jax.Array, steps: jax.Array) -> "Cap":
        """The cap after a generation.

        Args:
            episodes: uint32[]: how many were played.
            truncated: uint32[]: how many of them reached the limit.
            steps: uint32[]: how many steps they had in all.
        """
        per_episode = 1 / episodes.astype(jnp.float32)
        share = truncated.astype(jnp.float32) * per_episode
        grown = jnp.where(share >= self.threshold, self.steps * self.ratio, self.steps)
        followed = jnp.maximum(self.means * (steps.astype(jnp.float32) * per_episode), 1)
        new = jnp.where(self.means > 0, followed, grown)
        return self._replace(steps=jnp.minimum(new, self.most))


def cap(given: str | int | None, most: int) -> Cap:
    """Read the setting `cap` of `jaxes.rl.rollout`.

    Args:
        given: None for `most` throughout; a number of steps; "2x_mean" (or another factor) for twice the mean length of
            the last generation's episodes, beginning with `most` (Salimans et al. 2017, section 2.1: at most half of
            the workers' time is idle); or "adaptive:START,THRESHOLD,RATIO" (`episode_cutoff_mode` of OpenAI's code,
            2017) for START steps at first, multiplied by RATIO whenever a share THRESHOLD of the episodes has reached
            the limit.
        most: the number of steps that the limit never grows beyond.

    Raises:
        ValueError: if `given` is none of these.

    >>> int(cap("adaptive:200,0.5,1.5", 1000).limit)
    200
    """
    start, threshold, ratio, means = float(most), 2.0, 1.0, 0.0
    text = "" if given is None else str(given)
    try:
        if text.isdecimal():
            start = float(text)
            fits = start >= 1
        elif text.endswith("x_mean"):
            means = float(text.removesuffix("x_mean"))
            fits = means > 1
        elif text.startswith("adaptive:"):
            start, threshold, ratio = map(float, text.removeprefix("adaptive:").split(","))
            fits = start >= 1 and 0 < threshold <= 1 and ratio > 1
        else:
            fits = given is None
    except ValueError:
        fits = False
    if not fits or isinstance(given, bool):
        raise ValueError(
            "cap must be a number of steps, FACTORx_mean with FACTOR above 1 (as in '2x_mean'), or "
            "adaptive:START,THRESHOLD,RATIO with START from 1, THRESHOLD in (0, 1] and RATIO above 1 (as in "
            f"'adaptive:200,0.5,1.2'); got {given!r}"
        )
    return Cap(*map(jnp.float32, (min(start, most), most, threshold, ratio, means)))
