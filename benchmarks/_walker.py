"""Train the README's walker and draw it at work, docs/images/walker.gif, early in its training and at its end.

python benchmarks/_walker.py [--folder runs/walker]; half an hour on two cores, if nothing is trained yet.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import jaxes
from jaxes.training import video

PATH = Path(__file__).parents[1] / "docs/images/walker.gif"
ENV = "brax/walker2d"
STAGES = (20, 128, 400)  # generations
SEED = "2"  # of the three tried, the one that bends its knees
FRAMES_PER_SECOND, FRAMES = 20.0, 100
WIDTH, HEIGHT, SHARPER = 280, 170, 3  # of a stage's picture in pixels; drawn so many times larger, then reduced
METERS = 3.4  # across a picture
SCALE, FLOOR = WIDTH * SHARPER / METERS, (HEIGHT - 21) * SHARPER  # pixels of a meter, and above the ground
LEGS = ("#1f6fd6", "#e08a2e")  # right, left
BODY, GROUND, MARKS, INK, PAPER = "#2b3440", "#c9ced6", "#e6e9ee", "#5b6470", "#ffffff"


class Limb(NamedTuple):
    """A capsule seen from the side, in meters."""

    ends: np.ndarray  # [2, (x, z)]
    radius: float
    color: str


def train(folder: Path) -> list[tuple[int, Any, float]]:
    """(generation, policy, mean score of held-out episodes) of all stages; what is there is not trained again."""
    out = []
    for generations in STAGES:
        stage = folder / str(generations)
        if not (stage / "config.json").exists():
            command = [sys.executable, "-m", "jaxes.cli", "train", "--generations", str(generations), "--no-video"]
            if out:
                shutil.copytree(folder / str(out[-1][0]), stage)
                command += ["--resume", str(stage)]
            else:
                command += [ENV, "--seed", SEED, "--out", str(stage)]
            subprocess.run(command, check=True)
        policy = jaxes.load(stage)
        score = float(np.mean(policy.evaluate(jax.random.key(7), 16).returns))
        out.append((generations, policy, score))
    return out


def limbs(model: Any, data: Any) -> list[Limb]:
    """The walker's capsules, those farther away first."""
    import mujoco

    out = []
    for i in range(model.ngeom):
        if model.geom_type[i] != mujoco.mjtGeom.mjGEOM_CAPSULE:
            continue
        along = data.geom_xmat[i].reshape(3, 3)[:, 2] * model.geom_size[i, 1]
        ends = np.stack([data.geom_xpos[i] - along, data.geom_xpos[i] + along])[:, [0, 2]]
        name = model.body(model.geom_bodyid[i]).name
        color = BODY if name == "torso" else LEGS["left" in name]
        out.append(Limb(ends, float(model.geom_size[i, 0]), color))
    return sorted(out, key=lambda limb: (limb.color != LEGS[1], limb.color == BODY))


def draw(walker: list[Limb], center: float, title: str) -> Image.Image:
    """One moment of one stage; the camera stands at `center` meters."""
    picture = Image.new("RGB", (WIDTH * SHARPER, HEIGHT * SHARPER), PAPER)
    pen = ImageDraw.Draw(picture)
    place = lambda x, z: (picture.width / 2 + (x - center) * SCALE, FLOOR - z * SCALE)
    for meter in range(int(center - METERS), int(center + METERS) + 1):
        draw_mark(pen, place(meter, 0)[0], f"{meter} m")
    pen.line([(0, FLOOR), (picture.width, FLOOR)], fill=GROUND, width=2 * SHARPER)
    for limb in walker:
        draw_limb(pen, [place(*end) for end in limb.ends], limb.radius * SCALE, limb.color)
    pen.text((picture.width / 2, 3 * SHARPER), title, fill=INK, font=font(12), anchor="ma")
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def draw_mark(pen: ImageDraw.ImageDraw, x: float, label: str) -> None:
    """A meter's mark on the ground, unless its label would be cut."""
    if 12 * SHARPER < x < (WIDTH - 12) * SHARPER:
        pen.line([(x, 20 * SHARPER), (x, FLOOR)], fill=MARKS, width=SHARPER)
        pen.text((x, FLOOR + 8 * SHARPER), label, fill=INK, font=font(9), anchor="ma")


def draw_limb(pen: ImageDraw.ImageDraw, ends: list[tuple[float, float]], radius: float, color: str) -> None:
    """A line with round ends."""
    pen.line(ends, fill=color, width=round(2 * radius))
    for x, y in ends:
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)


def font(size: int) -> Any:
    """Of letters that are `size` pixels high in the end."""
    return ImageFont.load_default(size * SHARPER)


def film(policy: Any, title: str) -> list[Image.Image]:
    """The pictures of a stage; an episode that ends leaves the walker where it fell."""
    import brax.envs
    import mujoco

    states = video.play(policy, jax.random.key(1), frames_per_second=FRAMES_PER_SECOND, most=10_000).shown[:FRAMES]
    model = brax.envs.create(ENV.removeprefix("brax/")).sys.mj_model
    data, out, center = mujoco.MjData(model), [], 0.0
    for state in states:
        data.qpos[:] = np.asarray(state.pipeline_state.q)
        mujoco.mj_forward(model, data)
        center += 0.25 * (float(data.xpos[1, 0]) - center)
        out.append(draw(limbs(model, data), center, title))
    return out + [out[-1]] * (FRAMES - len(out))


def write(stages: list[list[Image.Image]]) -> None:
    """Stages beside each other, moments after each other, one palette for all."""
    frames = []
    for moment in zip(*stages, strict=True):
        frame = Image.new("RGB", (WIDTH * len(moment), HEIGHT), PAPER)
        for i, picture in enumerate(moment):
            frame.paste(picture, (WIDTH * i, 0))
        frames.append(frame)
    palette = frames[len(frames) // 2].quantize(32, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    PATH.parent.mkdir(parents=True, exist_ok=True)
    first.save(PATH, save_all=True, append_images=others, duration=round(1000 / FRAMES_PER_SECOND), loop=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/walker"))
    stages = train(parser.parse_args().folder)
    write([film(policy, f"generation {t}: score {score:,.0f}") for t, policy, score in stages])
    print(f"{PATH}: {PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
