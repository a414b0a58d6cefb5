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
    return np.frombuffer(out, np.uint8).reshape(-1, 240, 320, 3)


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_pictures(suffix, cart_pole, tmp_path):
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    key = jax.random.key(0)
    path = video.write(cart_pole, key, tmp_path / f"x{suffix}")
    drawn = np.stack(video.episode(cart_pole, key))
    assert path == tmp_path / f"x{suffix}"
    shown = pictures(path)
    assert shown.shape == drawn.shape and len(shown) > 2
    assert np.abs(shown.astype(float) - drawn).mean() < 4
    assert np.abs(shown[0].astype(float) - shown[-1]).mean() > 0.1


def test_it_plays_in_simulated_time(cart_pole, tmp_path):
    assert video.pace(cart_pole.env) == (2, pytest.approx(0.04))
    assert video.pace(clock()) == (1, pytest.approx(0.04))
    slow = cart_pole.env._replace(step_seconds=0.2)
    assert video.pace(slow) == (1, pytest.approx(0.2))
    path = video.write(trained(slow, "categorical"), jax.random.key(0), tmp_path / "x.gif")
    assert iio.immeta(path)["duration"] == 200


def test_page(tmp_path):
    policy = trained(brax_envs.made("inverted_pendulum")[0])
    path = video.write(policy, jax.random.key(0), tmp_path / "x.html", most=5)
    scene = re.search(r'var system = "([^"]+)"', path.read_text()).group(1)
    scene = json.loads(zlib.decompress(base64.b64decode(scene)))
    assert set(scene["geoms"]) == {"world", "cart", "pole"}
    assert len(scene["states"]["x"]) == 5
    assert scene["opt"]["timestep"] == pytest.approx(0.04)


def test_what_cannot_be_drawn(cart_pole, tmp_path):
    env = clock()
    blind = Trained(env, linear(), linear().init(jax.random.key(0)), None)
    with pytest.raises(ValueError, match="tests/clock cannot draw itself"):
        video.write(blind, jax.random.key(0), tmp_path / "x.gif")
    with pytest.raises(ValueError, match="gymnax/CartPole-v1 has no HTML page, only Brax has; wanted: a path in"):
        video.write(cart_pole, jax.random.key(0), tmp_path / "x.html")
    with pytest.raises(ValueError, match=r"path must end in .gif, .mp4 or .html, got '.*x.avi'"):
        video.write(cart_pole, jax.random.key(0), tmp_path / "x.avi")
    assert list(tmp_path.iterdir()) == []


def test_missing_encoder(cart_pole, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"imageio-ffmpeg is not installed .*: pip install 'jaxes\[video\]'"):
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
    assert call("render", run, "--out", tmp_path / "y.gif") == 0
    assert (tmp_path / "y.gif").exists()
    assert call("render", run, "--out", tmp_path / "y.html") == 2
    assert "gymnax/CartPole-v1 has no HTML page" in capsys.readouterr().err
    assert call("render", run, "--out", tmp_path / "y.webm") == 2
    assert "path must end in .gif, .mp4 or .html" in capsys.readouterr().err
