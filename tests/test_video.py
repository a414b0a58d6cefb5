"""Episodes as files."""

import base64
import json
import re
import subprocess
import sys
import zlib

import brax_envs
import imageio.v3 as iio
import jax
import numpy as np
import pytest
from toys import clock, linear

import jaxes
from jaxes import cli, rl
from jaxes.training import video
from jaxes.training.trained import Trained


def trained(env, head="tanh"):
    """A policy that was never trained."""
    policy = rl.mlp(env, hidden=(), head=head)
    return Trained(env, policy, policy.init(jax.random.key(0)), None)


@pytest.fixture(scope="module")
def cart_pole():
    pytest.importorskip("gymnax")
    return trained(jaxes.envs.make("gymnax/CartPole-v1"), "categorical")


def pictures(path):
    """uint8[frames, height, width, 3]"""
    if path.suffix == ".gif":
        return np.stack([frame[..., :3] for frame in iio.imiter(path)])
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", path]
    out = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(out, np.uint8).reshape(-1, 360, 480, 3)


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_pictures(suffix, cart_pole, tmp_path):
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    key = jax.random.key(0)
    film = video.write(cart_pole, key, tmp_path / f"x{suffix}")
    played = video.episode(cart_pole, key)
    drawn = np.stack(played.shown)
    assert film.path == tmp_path / f"x{suffix}"
    shown = pictures(film.path)
    assert shown.shape == drawn.shape and shown.shape[1:] == (360, 480, 3) and len(shown) > 2
    assert np.abs(shown.astype(float) - drawn).mean() < 4
    assert np.abs(shown[0].astype(float) - shown[-1]).mean() > 0.1
    assert (film.score, film.length) == (played.score, played.length) and film.score == film.length > 5
    assert str(film).splitlines()[1:] == [
        f"score    {film.length}.0",
        f"length   {film.length} steps, {film.seconds:.1f} s to see",
    ]


def test_it_plays_in_simulated_time(cart_pole, tmp_path):
    assert video.pace(cart_pole.env) == 2
    assert video.pace(clock()) == 1
    slow = cart_pole.env._replace(step_seconds=0.2)
    assert video.pace(slow) == 1
    path = video.write(trained(slow, "categorical"), jax.random.key(0), tmp_path / "x.gif").path
    assert iio.immeta(path)["duration"] == 200


def test_hundredths_of_a_second_add_up(tmp_path):
    """30 pictures a second: GIF has no 33.3 ms."""
    frames = np.random.default_rng(0).integers(0, 255, (31, 8, 8, 3), np.uint8)
    shown = durations(video.gif(frames, tmp_path / "x.gif", frames_per_second=30))
    assert set(shown) == {30, 40} and len(shown) == 31
    assert abs(sum(shown) - 31 * 1000 / 30) < 10


def durations(path):
    """Milliseconds of each picture of a GIF."""
    from PIL import Image, ImageSequence

    with Image.open(path) as picture:
        return [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]


@pytest.mark.parametrize("most", [400, 50, 7])
def test_an_episode_is_shown_to_its_end_however_long_it_is(most, tmp_path):
    """At the speed of its time, in as many pictures as there may be."""
    pytest.importorskip("gymnax")
    pendulum = trained(jaxes.envs.make("gymnax/Pendulum-v1"))  # 200 steps of 0.05 s
    film = video.write(pendulum, jax.random.key(0), tmp_path / "x.gif", most=most)
    frames = len(video.play(pendulum, jax.random.key(0), most=most).shown)
    assert most / 2 <= frames <= most or frames == 201
    late = 2.1 if most == 7 else 0.5
    assert film.length == 200 and film.seconds == pytest.approx(10, abs=late)
    assert sum(durations(film.path)) / 1000 == pytest.approx(10, abs=late), "pictures that are alike are one"


@pytest.mark.parametrize(("every", "pictures"), [(0.02, 18), (0.06, 7), (0.04, 10)])
def test_the_last_moment_is_shown(every, pictures):
    """An episode of 17 steps: in each second or third picture of them too."""
    env = clock(life=(17, 17))._replace(step_seconds=0.02)
    policy = Trained(env, linear(), linear().init(jax.random.key(0)), None)
    for most in (400, 5):
        played = video.play(policy, jax.random.key(0), frames_per_second=1 / every, most=most)
        times = [int(moment.time) for moment in played.shown]
        assert (times[0], times[-1], played.length) == (0, 17, 17) and min(pictures, most) / 2 < len(times) <= most
        assert most == 5 or len(times) == pictures


def test_an_episode_in_processes_is_shown_to_its_end(tmp_path):
    pytest.importorskip("pygame")
    env = jaxes.envs.make("gymnasium/Pendulum-v1")
    film = video.write(trained(env), jax.random.key(0), tmp_path / "x.gif", most=60)
    assert film.length == 200 and 30 <= iio.improps(film.path, index=None).n_images <= 60
    assert pictures(film.path).shape[1:] == (360, 360, 3), "500 x 500, made smaller"
    lanes, seed = env.lanes(1), int(jax.random.bits(jax.random.key(0), (), np.uint32))
    lanes.reset(0, seed)
    policy, total = trained(env), 0.0
    for _ in range(200):
        total += lanes.step(np.zeros(1, int), policy(lanes.observations[0])[None])[0][0]
    assert film.score == pytest.approx(total)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((400, 600, 3), (320, 480, 3)),
        ((210, 160, 3), (210, 160, 3)),
        ((360, 480, 3), (360, 480, 3)),
        ((84, 84, 3), (336, 336, 3)),
    ],
)
def test_pictures_of_others_are_made_to_fit(shape, wanted):
    picture = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert video._fitted(picture).shape == wanted


def light(pictures):
    """The share of pixels that are neither dark nor of a strong color, and that of the darkest pixels."""
    gray = pictures.mean(axis=-1)
    return np.mean((gray > 90) & (np.ptp(pictures, axis=-1) < 60)), np.mean(gray < 15)


@pytest.mark.parametrize("name", ["hopper", "inverted_pendulum", "reacher"])
def test_what_moves_is_seen_against_its_background(name):
    """The background is light; what moves is near and covers the middle of the picture."""
    env, reset, _ = brax_envs.made(name)
    state = jax.device_get(reset(jax.random.key(0)).physics)
    away = state.replace(pipeline_state=state.pipeline_state.replace(q=state.pipeline_state.q.copy() + 0.3))
    frames = np.stack(env.frames([state, away])).astype(float)
    assert frames.shape == (2, 360, 480, 3)
    pale, dark = light(frames)
    assert pale > 0.8 and dark < 0.02
    colors = np.ptp(frames[0], axis=-1) > 60
    rows, columns = np.flatnonzero(colors.any(axis=1)), np.flatnonzero(colors.any(axis=0))
    assert max(np.ptp(rows) / 360, np.ptp(columns) / 480) > (0.15 if name == "reacher" else 0.3)
    assert abs(columns.mean() - 240) < 60
    assert np.abs(frames[0] - frames[1]).mean() > 0.3


def test_page(tmp_path):
    policy = trained(brax_envs.made("inverted_pendulum")[0])
    film = video.write(policy, jax.random.key(0), tmp_path / "x.html", most=5)
    path = film.path
    scene = re.search(r'var system = "([^"]+)"', path.read_text()).group(1)
    scene = json.loads(zlib.decompress(base64.b64decode(scene)))
    assert set(scene["geoms"]) == {"world", "cart", "pole"}
    assert 3 <= len(scene["states"]["x"]) <= 5
    assert scene["opt"]["timestep"] == pytest.approx(film.seconds / len(scene["states"]["x"]))


def test_what_cannot_be_drawn(cart_pole, tmp_path):
    env = clock()
    blind = Trained(env, linear(), linear().init(jax.random.key(0)), None)
    with pytest.raises(ValueError, match="tests/clock cannot draw itself: it has no function `frames`"):
        video.write(blind, jax.random.key(0), tmp_path / "x.gif")
    with pytest.raises(ValueError, match="gymnax/CartPole-v1 has no HTML page, only Brax has; wanted: a path in"):
        video.write(cart_pole, jax.random.key(0), tmp_path / "x.html")
    with pytest.raises(ValueError, match=r"path must end in .gif, .mp4 or .html, got '.*x.avi'"):
        video.write(cart_pole, jax.random.key(0), tmp_path / "x.avi")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to write x.gif into"):
        video.write(blind, jax.random.key(0), tmp_path / "nowhere" / "x.gif")
    assert list(tmp_path.iterdir()) == []


def test_missing_encoder(cart_pole, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(
        ImportError, match=r"imageio-ffmpeg is not installed .*: pip install .*\(the extra 'video' of jaxes\)"
    ):
        video.write(cart_pole, jax.random.key(0), tmp_path / "x.mp4")


def test_odd_pictures_and_bad_paths(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(ValueError, match="frames must have an even height and width for MP4, got 9 x 10"):
        video.mp4(np.zeros((2, 9, 10, 3), np.uint8), tmp_path / "x.mp4")
    with pytest.raises(OSError, match=r"ffmpeg could not write .*x.mp4: .*No such file"):
        video.mp4(np.zeros((2, 16, 16, 3), np.uint8), tmp_path / "nowhere/x.mp4")


def call(*arguments):
    """Run the command line in this process; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(a) for a in arguments])
    return stop.value.code


def test_on_the_command_line(tmp_path, capsys):
    pytest.importorskip("gymnax")
    run = tmp_path / "run"
    settings = ["--population-size", 8, "--hidden", 4, "--generations", 2, "--evaluation-episodes", 2]
    assert call("train", "gymnax/CartPole-v1", *settings, "--out", run, "--no-progress") == 0
    assert (run / "episode.gif").exists(), capsys.readouterr().err
    capsys.readouterr()
    assert call("render", run, "--out", tmp_path / "y.gif") == 0
    assert (tmp_path / "y.gif").exists()
    out, err = capsys.readouterr()
    path, score, length = out.splitlines()
    assert path == str(tmp_path / "y.gif") and "drawing" in err
    assert float(score.removeprefix("score")) == int(length.split()[1]) > 5, "a point a step"
    assert call("render", run, "--out", tmp_path / "nowhere" / "y.gif") == 2
    err = capsys.readouterr().err
    assert "there is no folder" in err and "drawing" not in err, "before it is played"
    assert call("render", run, "--out", tmp_path / "y.html") == 2
    assert "gymnax/CartPole-v1 has no HTML page" in capsys.readouterr().err
    assert call("render", run, "--out", tmp_path / "y.webm") == 2
    assert "path must end in .gif, .mp4 or .html" in capsys.readouterr().err
