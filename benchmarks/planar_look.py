"""Draw docs/images/planar.png: the same moments, drawn by gymnasium at the left and by jaxes at the right.

The moments are of gymnasium's environments, played by its own heuristics, and so are their positions and grounds.

python benchmarks/planar_look.py
"""

import types
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.box2d import bipedal_walker, lunar_lander
from PIL import Image, ImageDraw, ImageFont

from jaxes.envs.own.bipedal_walker import drawing as walker_drawing
from jaxes.envs.own.lunar_lander import drawing as lander_drawing
from jaxes.envs.own.planar.terrain import Terrain

PATH = Path(__file__).parents[1] / "docs/images/planar.png"
SIDES = "gymnasium", "jaxes"
HEIGHT, WIDTH, GAP, HEAD = 400, 600, 8, 26  # pixels
Moment = types.SimpleNamespace


def bodies(*made: Any) -> Moment:
    """Where Box2D's bodies are."""
    position = np.array([body.worldCenter for body in made])
    return Moment(position=position, angle=np.array([body.angle for body in made]))


def lander(seed: int = 3, steps: int = 75) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of a lander that comes down."""
    env = gymnasium.make("LunarLander-v3", render_mode="rgb_array").unwrapped
    observation, moments, picture = env.reset(seed=seed)[0], [], None
    corners = [sky[0][1] for sky in env.sky_polys] + [env.sky_polys[-1][1][1]]
    for _ in range(steps):
        action = lunar_lander.heuristic(env, observation)
        observation = env.step(action)[0]
        picture = env.render()
        side = {1: -1.0, 3: 1.0}.get(action, 0.0)
        moment = Moment(
            bodies=bodies(env.lander, *env.legs), ground=np.array(corners), main=float(action == 2), side=side
        )
        moments.append(moment)
    return picture, lander_drawing.frames(moments, HEIGHT, WIDTH)[-1]


def walker(hardcore: bool, seed: int, steps: int, start: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of a walker that gymnasium's heuristics move, from x = `start` on."""
    env = gymnasium.make("BipedalWalker-v3", hardcore=hardcore, render_mode="rgb_array").unwrapped
    observation, heuristics = env.reset(seed=seed)[0], bipedal_walker.BipedalWalkerHeuristics()
    line = surface(env)
    if start is not None:
        level = np.interp(start, line.x, line.y) - np.interp(env.hull.position[0], line.x, line.y)
        move = np.array([start - env.hull.position[0], level])
        for body in (env.hull, *env.legs):
            body.position = tuple(np.array(body.position) + move)
    for _ in range(steps):
        observation = env.step(heuristics.step_heuristic(observation))[0]
    now = Moment(bodies=bodies(env.hull, *env.legs), terrain=line, lidar=np.array([ray.fraction for ray in env.lidar]))
    env.lidar_render = 6
    return env.render(), walker_drawing.frames([now] * 7, HEIGHT, WIDTH)[-1]


def surface(env: Any) -> Terrain:
    """What gymnasium's grass and boxes have for a surface: the higher one, step by step."""
    x, y = np.array(env.terrain_x), np.array(env.terrain_y)
    box = np.full(len(x), -np.inf)
    for body in env.terrain:
        corners = np.array(body.fixtures[0].shape.vertices)
        if len(corners) == 4:
            inside = (x > corners[:, 0].min() - 0.01) & (x < corners[:, 0].max() - 0.01)
            box[inside] = np.maximum(box[inside], corners[:, 1].max())
    left, right = np.maximum(y, box)[:-1], np.maximum(y[1:], box[:-1])
    return Terrain(np.repeat(x, 2)[1:-1], np.stack([left, right], axis=1).reshape(-1))


def draw() -> Path:
    """Write the picture."""
    rows = [lander(), walker(False, 0, 130), walker(True, 2, 12, 62.0)]
    size = 2 * WIDTH + GAP, HEAD + len(rows) * (HEIGHT + GAP) - GAP
    page = Image.new("RGB", size, "white")
    for column, side in enumerate(SIDES):
        left = column * (WIDTH + GAP)
        ImageDraw.Draw(page).text((left, 2), side, "black", ImageFont.load_default(18))
        for k, row in enumerate(rows):
            page.paste(Image.fromarray(row[column]), (left, HEAD + k * (HEIGHT + GAP)))
    PATH.parent.mkdir(parents=True, exist_ok=True)
    page.quantize(128, dither=Image.Dither.NONE).save(PATH, optimize=True)
    return PATH


if __name__ == "__main__":
    print(draw())
