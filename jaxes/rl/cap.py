"""The time limit of training episodes: fixed, or growing as the population learns to stay up.

Short episodes first make a generation cheap while most members fall early anyway, and reward moving over lingering.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Cap(NamedTuple):
    """The limit and how it grows; all numbers are traced."""

    steps: jax.Array  # float32[]: the limit, rounded down when used
    most: jax.Array  # float32[]: it never grows beyond
    threshold: jax.Array  # float32[]: the share of truncated episodes from which it grows
    ratio: jax.Array  # float32[]: the factor by which it grows

    @property
    def limit(self) -> jax.Array:
        """int32[]: the limit in steps."""
        return self.steps.astype(jnp.int32)

    def update(self, episodes: jax.Array, truncated: jax.Array) -> "Cap":
        """The cap after a generation of `episodes`, `truncated` of which reached it (both uint32[])."""
        share = truncated.astype(jnp.float32) / episodes.astype(jnp.float32)
        grown = jnp.minimum(self.steps * self.ratio, self.most)
        return self._replace(steps=jnp.where(share >= self.threshold, grown, self.steps))


def cap(text: str | None, most: int) -> Cap:
    """Read a cap.

    Args:
        text: None for `most` throughout, or "adaptive:START,THRESHOLD,RATIO" (`episode_cutoff_mode` of OpenAI's code,
            2017): START steps at first; when a share THRESHOLD of the episodes reaches the limit, it is multiplied
            by RATIO.
        most: the limit it never grows beyond, in steps.
    """
    start, threshold, ratio = float(most), 1.0, 1.0
    if text is not None:
        kind, _, numbers = text.partition(":")
        try:
            start, threshold, ratio = map(float, numbers.split(","))
            fits = kind == "adaptive" and start >= 1 and 0 < threshold <= 1 and ratio > 1
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                "cap must be adaptive:START,THRESHOLD,RATIO with START from 1, THRESHOLD in (0, 1] and RATIO above 1, "
                f"as in 'adaptive:200,0.5,1.2'; got {text!r}"
            )
    return Cap(*map(jnp.float32, (min(start, most), most, threshold, ratio)))
