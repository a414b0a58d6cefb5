"""Moving pictures of policies that act."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxes.support import checks

if TYPE_CHECKING:
    from jaxes.envs import Env
    from jaxes.training.trained import Trained

SUFFIXES = (".gif", ".mp4", ".html")


def write(
    policy: "Trained", key: jax.Array, path: str | Path, *, frames_per_second: float = 25.0, most: int = 250
) -> Path:
    """Play one episode and write it at the speed of its simulated time.

    Args:
        policy: from `jaxes.load`.
        key: for the start of the episode.
        path: ends in .gif, .mp4 (needs imageio-ffmpeg) or .html (only for Brax: a scene that can be turned around; the
            page loads its viewer from the internet).
        frames_per_second: how many pictures there are in a second, at most: an environment with longer steps has fewer.
        most: the largest number of pictures, at which the episode is cut.

    Returns:
        The path.

    Raises:
        ValueError: if `path` ends in anything else, or the environment cannot draw itself in that way.
        ImportError: if imageio-ffmpeg is missing; the message says what to install.
    """
    path = suffixed(path)
    _, seconds = pace(policy.env, frames_per_second)
    if path.suffix == ".html":
        if policy.env.html is None:
            raise ValueError(f"{policy.env.name} has no HTML page, only Brax has; wanted: a path in .gif or .mp4")
        moments = play(policy, key, frames_per_second=frames_per_second, most=most)
        path.write_text(policy.env.html(moments, seconds))
        return path
    if path.suffix == ".mp4":
        _encoder()  # better missing now than after the episode
    frames = episode(policy, key, frames_per_second=frames_per_second, most=most)
    return (gif if path.suffix == ".gif" else mp4)(frames, path, frames_per_second=1 / seconds)


def suffixed(path: str | Path) -> Path:
    """`path` as a `Path`; raises ValueError if `write` does not know its ending."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, got {str(path)!r}")
    return path


def pace(env: "Env", frames_per_second: float = 25.0) -> tuple[int, float]:
    """How many steps there are between two pictures, and how many seconds."""
    if not env.step_seconds:
        return 1, 1 / frames_per_second
    every = max(1, round(1 / (frames_per_second * env.step_seconds)))
    return every, every * env.step_seconds


def play(policy: "Trained", key: jax.Array, *, frames_per_second: float = 25.0, most: int = 250) -> list[Any]:
    """Play one episode; the physics (NumPy arrays) at the moments that are shown."""
    env = policy.env
    every, _ = pace(env, frames_per_second)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    policy.reset()
    state = reset(key)
    shown = [jax.device_get(state.physics)]
    for t in range(1, env.max_steps + 1):
        state = step(state, policy(state.observation))
        if t % every == 0:
            shown.append(jax.device_get(state.physics))
        if state.done or len(shown) == most:
            break
    return shown


def episode(policy: "Trained", key: jax.Array, *, frames_per_second: float = 25.0, most: int = 250) -> list[np.ndarray]:
    """Play one episode and draw it.

    Args:
        policy: from `jaxes.load`.
        key: for the start of the episode.
        frames_per_second: there are so many pictures in a simulated second, or one for each step if steps are longer.
        most: the largest number of pictures, at which the episode is cut.

    Returns:
        Pictures, uint8[height, width, 3].

    Raises:
        ValueError: if the environment cannot draw itself.
    """
    if policy.env.film is not None:
        return _filmed(policy, key, frames_per_second, most)
    if policy.env.frames is None:
        raise ValueError(f"{policy.env.name} cannot draw itself")
    return policy.env.frames(play(policy, key, frames_per_second=frames_per_second, most=most))


def _filmed(policy: "Trained", key: jax.Array, frames_per_second: float, most: int) -> list[np.ndarray]:
    """`episode` for environments in Python processes: it is played without pictures first, and then again with them."""
    env = policy.env
    assert env.lanes is not None and env.film is not None
    every, _ = pace(env, frames_per_second)
    lanes, seed, actions = env.lanes(1), int(jax.random.bits(key, (), np.uint32)), []
    lanes.reset(0, seed)
    policy.reset()
    for _ in range(min(env.max_steps, every * (most - 1))):
        actions.append(policy(jax.tree.map(lambda x: x[0], lanes.observations)))
        _, done = lanes.step(np.zeros(1, int), actions[-1][None])
        if done[0]:
            break
    return env.film(seed, actions, every)


def gif(frames: Iterable[np.ndarray], path: str | Path, *, frames_per_second: float = 25.0) -> Path:
    """Write a GIF that is repeated for ever; frames are uint8[height, width, 3]."""
    import imageio.v3 as iio

    path = Path(path)
    iio.imwrite(path, np.stack(list(frames)), extension=".gif", duration=1000 / frames_per_second, loop=0)
    return path


def mp4(frames: Iterable[np.ndarray], path: str | Path, *, frames_per_second: float = 25.0) -> Path:
    """Write an MP4 (H.264) of frames uint8[height, width, 3].

    Raises:
        ValueError: if height or width is odd.
        ImportError: without imageio-ffmpeg, which brings the encoder; the message says what to install.
        OSError: if the encoder fails.
    """
    encoder, path, pictures = _encoder(), Path(path), np.stack(list(frames))
    height, width = pictures.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"frames must have an even height and width for MP4, got {height} x {width}")
    read = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{frames_per_second}", "-i", "-"]
    command = [encoder, "-y", "-loglevel", "error", *read, "-c:v", "libx264", "-pix_fmt", "yuv420p", str(path)]
    done = subprocess.run(command, input=pictures.tobytes(), capture_output=True)
    if done.returncode:
        raise OSError(f"ffmpeg could not write {path}: {done.stderr.decode(errors='replace').strip()}")
    return path


def _encoder() -> str:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise checks.extra("imageio-ffmpeg", "video", error) from None
    return imageio_ffmpeg.get_ffmpeg_exe()
