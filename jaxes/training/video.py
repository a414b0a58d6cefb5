"""Moving pictures of policies that act."""

import functools
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.lanewise import lanewise, platform
from jaxes.support import extras

if TYPE_CHECKING:
    from jaxes.envs import Env
    from jaxes.training.trained import Trained

SUFFIXES = (".gif", ".mp4", ".html")
WIDTH, HEIGHT = 480, 360  # pixels of a picture, at most
MOST = {".gif": 400, ".mp4": 3000, ".html": 1000}  # pictures of an episode


class Film(NamedTuple):
    """An episode that was written to a file."""

    path: Path
    score: float  # the return
    length: int  # in steps
    seconds: float  # that the file shows

    def __str__(self) -> str:
        return f"{self.path}\nscore    {self.score:.1f}\nlength   {self.length} steps, {self.seconds:.1f} s to see"


class Played(NamedTuple):
    """A whole episode, some moments of which are shown, the first and the last among them."""

    shown: list[Any]  # physics (NumPy arrays), or pictures uint8[height, width, 3]
    score: float
    length: int


def write(
    policy: "Trained", key: jax.Array, path: str | Path, *, frames_per_second: float = 25.0, most: int | None = None
) -> Film:
    """Play one episode to its end and write it at the speed of its simulated time.

    Args:
        policy: from `jaxes.load`.
        key: for the start of the episode.
        path: ends in .gif, .mp4 (needs imageio-ffmpeg) or .html (only for Brax: a scene that can be turned around; the
            page loads its viewer from the internet).
        frames_per_second: how many pictures there are in a second, at most: fewer where an environment has longer steps
            and where an episode is so long that `most` pictures would not do.
        most: the largest number of pictures; by default 400 of a GIF, 3000 of an MP4 and 1000 moments of a page.

    Returns:
        A `Film`: the path, the return and the length of the episode.

    Raises:
        ValueError: if `path` ends in anything else, or the environment cannot draw itself in that way.
        FileNotFoundError: if the folder of `path` is not there; before the episode is played.
        ImportError: if imageio-ffmpeg is missing; the message says what to install.
    """
    path = suffixed(path)
    drawable(policy.env, path.suffix)
    if path.suffix == ".mp4":
        _encoder()  # better missing now than after the episode
    how = {"frames_per_second": frames_per_second, "most": MOST[path.suffix] if most is None else most}
    played = (play if path.suffix == ".html" else episode)(policy, key, **how)
    step = policy.env.step_seconds or 1 / frames_per_second
    seconds = (played.length + 1) * step / len(played.shown)
    if path.suffix == ".html":
        path.write_text(policy.env.html(played.shown, seconds))  # pyrefly: ignore[not-callable]
    else:
        (gif if path.suffix == ".gif" else mp4)(played.shown, path, frames_per_second=1 / seconds)
    return Film(path, played.score, played.length, len(played.shown) * seconds)


def suffixed(path: str | Path) -> Path:
    """`path` as a `Path`; raises ValueError if `write` does not know its ending, OSError if its folder is not there."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, got {str(path)!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into")
    return path


def drawable(env: "Env", suffix: str = ".gif") -> None:
    """Raise ValueError if the environment cannot draw itself in files of this ending."""
    if suffix == ".html":
        if env.html is None:
            raise ValueError(f"{env.name} has no HTML page, only Brax has; wanted: a path in .gif or .mp4")
    elif env.film is None and env.frames is None:
        suite = env.name.partition("/")[0]
        lacks = "no render mode rgb_array" if suite in ("gymnasium", "mujoco") else "no function `frames` in its Env"
        raise ValueError(f"{env.name} cannot draw itself: it has {lacks}")


def pace(env: "Env", frames_per_second: float = 25.0) -> int:
    """How many steps there are between two pictures, so that there are so many of them in a second, at most."""
    return max(1, round(1 / (frames_per_second * env.step_seconds))) if env.step_seconds else 1


def play(policy: "Trained", key: jax.Array, *, frames_per_second: float = 25.0, most: int = 400) -> Played:
    """Play one episode of a compiled environment; the physics at the moments that are shown."""
    env = policy.env
    every, (reset, step) = pace(env, frames_per_second), _compiled(env.reset, env.step)
    policy.reset()
    state = reset(key)
    shown, score, t = [jax.device_get(state.physics)], 0.0, 0
    for t in range(1, env.max_steps + 1):
        state = step(state, policy(state.observation))
        score += float(state.reward)
        if t % every == 0:
            shown.append(jax.device_get(state.physics))
        if len(shown) > 4 * most:  # nobody knows yet how long it will be
            shown, every = shown[::2], 2 * every
        if state.done:
            break
    if t % every:
        shown.append(jax.device_get(state.physics))
    stride = max(1, -(-(len(shown) - 1) // max(most - 1, 1)))
    return Played([*shown[:-1:stride], shown[-1]], score, t)


@functools.lru_cache(maxsize=8)
def _compiled(*functions: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    return tuple(map(_alone, functions))


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function as a program of one lane, which on a CPU takes a fraction of the time to compile."""
    if platform() != "cpu":
        return jax.jit(function)
    lanes = jax.vmap(lanewise(function, quiet=True, choosy=True))
    first = lambda tree: jax.tree.map(lambda x: x[0], tree)
    return jax.jit(lambda *arguments: first(lanes(*jax.tree.map(lambda x: jnp.asarray(x)[None], arguments))))


def episode(policy: "Trained", key: jax.Array, *, frames_per_second: float = 25.0, most: int = 400) -> Played:
    """Play one episode and draw it.

    Args:
        policy: from `jaxes.load`.
        key: for the start of the episode.
        frames_per_second: there are so many pictures in a simulated second, or one for each step if steps are longer.
        most: the largest number of pictures; a longer episode has fewer in a second.

    Returns:
        What was played, with pictures uint8[height, width, 3].

    Raises:
        ValueError: if the environment cannot draw itself.
    """
    drawable(policy.env)
    if policy.env.film is not None:
        return _filmed(policy, key, frames_per_second, most)
    played = play(policy, key, frames_per_second=frames_per_second, most=most)
    return played._replace(shown=policy.env.frames(played.shown))  # pyrefly: ignore[not-callable]


def _filmed(policy: "Trained", key: jax.Array, frames_per_second: float, most: int) -> Played:
    """`episode` for environments in Python processes: it is played without pictures first, and then again with them."""
    env = policy.env
    assert env.lanes is not None and env.film is not None
    lanes, seed, actions, score = env.lanes(1), int(jax.random.bits(key, (), np.uint32)), [], 0.0
    lanes.reset(0, seed)
    policy.reset()
    for _ in range(env.max_steps):
        actions.append(policy(jax.tree.map(lambda x: x[0], lanes.observations)))
        rewards, done = lanes.step(np.zeros(1, int), actions[-1][None])
        score += float(rewards[0])
        if done[0]:
            break
    every = pace(env, frames_per_second)
    every *= -(-(len(actions) // every) // max(most - 2, 1))  # beside the first picture and the last one
    return Played([_fitted(x) for x in env.film(seed, actions, every)], score, len(actions))


def _fitted(picture: np.ndarray) -> np.ndarray:
    """The picture, made smaller or by a whole number larger, so that it fits; with an even height and width."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = min(HEIGHT / height, WIDTH / width)
    scale = max(1, int(scale)) if scale >= 1 else scale
    size = [2 * round(scale * side / 2) for side in (width, height)]
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize(size, how)) if size != [width, height] else picture


def gif(frames: Iterable[np.ndarray], path: str | Path, *, frames_per_second: float = 25.0) -> Path:
    """Write a GIF that is repeated for ever; frames are uint8[height, width, 3]."""
    from PIL import Image

    path, pictures = Path(path), [Image.fromarray(frame) for frame in frames]
    some = pictures[:: -(-len(pictures) // 8)]
    together = Image.fromarray(np.concatenate([np.asarray(picture) for picture in some]))
    palette = together.quantize(256, Image.Quantize.MEDIANCUT)  # one for all: pixels that stay need no room
    indexed = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    ends = np.round(100 / frames_per_second * np.arange(len(indexed) + 1))  # GIF counts hundredths of a second
    durations = (10 * np.maximum(np.diff(ends), 2)).astype(int).tolist()
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=False)
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
        raise extras.missing("imageio-ffmpeg", "video", error) from None
    return imageio_ffmpeg.get_ffmpeg_exe()
