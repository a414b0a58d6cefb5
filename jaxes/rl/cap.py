"""The time limit of training episodes: fixed, following their mean length, or growing with those that reach it.

Short episodes first make a generation cheap while most members fall early anyway, and reward moving over lingering.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Cap(NamedTuple):
    """The limit and how it changes; all numbers are traced."""

    steps: jax.Array  # float32[]: the limit, rounded down when used
    most: jax.Array  # float32[]: it never grows beyond
    threshold: jax.Array  # float32[]: the share of truncated episodes from which it grows
    ratio: jax.Array  # float32[]: the factor by which it grows
    means: jax.Array  # float32[]: how many mean lengths it is, instead of growing; 0 if it does not follow the mean

    @property
    def limit(self) -> jax.Array:
        """int32[]: the limit in steps."""
        return self.steps.astype(jnp.int32)

    def update(self, episodes: jax.Array, truncated: jax.Array, steps: jax.Array) -> "Cap":
        """The cap after a generation of `episodes`, `truncated` of which reached it, and `steps` in all (uint32[])."""
        per_episode = 1 / episodes.astype(jnp.float32)
        share = truncated.astype(jnp.float32) * per_episode
        grown = jnp.where(share >= self.threshold, self.steps * self.ratio, self.steps)
        followed = jnp.maximum(self.means * (steps.astype(jnp.float32) * per_episode), 1)
        new = jnp.where(self.means > 0, followed, grown)
        return self._replace(steps=jnp.minimum(new, self.most))


def cap(given: str | int | None, most: int) -> Cap:
    """Read a cap.

    Args:
        given: None for `most` throughout; a number of steps; "2x_mean" (or another factor), twice the mean length of
            the last generation's episodes, at first `most` (Salimans et al. 2017, section 2.1: at most half of the
            workers' time is idle); or "adaptive:START,THRESHOLD,RATIO" (`episode_cutoff_mode` of OpenAI's code, 2017):
            START steps at first; when a share THRESHOLD of the episodes reaches the limit, it is multiplied by RATIO.
        most: the limit it never grows beyond, in steps.
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
