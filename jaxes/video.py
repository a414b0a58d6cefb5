"""Moving pictures of policies at work."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

if TYPE_CHECKING:
    from jaxes.training.trained import Trained


def episode(policy: "Trained", key: jax.Array, *, frames_per_second: float = 25.0, most: int = 250) -> list[np.ndarray]:
    """Play one episode and draw it.

    Args:
        policy: from `jaxes.load`.
        key: of the episode's start.
        frames_per_second: simulated time between two pictures is one over this.
        most: pictures at most; the episode is cut there.

    Returns:
        Pictures, uint8[height, width, 3].

    Raises:
        ValueError: if the environment cannot draw itself.
    """
    env = policy.env
    if env.frames is None:
        raise ValueError(f"{env.name} cannot draw itself")
    every = max(1, round(1 / (frames_per_second * env.step_seconds))) if env.step_seconds else 1
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    policy.reset()
    state = reset(key)
    shown = [state.physics]
    for t in range(1, env.max_steps + 1):
        state = step(state, policy(state.observation))
        if t % every == 0:
            shown.append(jax.device_get(state.physics))
        if state.done or len(shown) == most:
            break
    return env.frames(shown)


def gif(frames: Iterable[np.ndarray], path: str | Path, *, frames_per_second: float = 25.0) -> Path:
    """Write an endlessly repeated GIF."""
    import imageio.v3 as iio

    path = Path(path)
    iio.imwrite(path, np.stack(list(frames)), extension=".gif", duration=1000 / frames_per_second, loop=0)
    return path
