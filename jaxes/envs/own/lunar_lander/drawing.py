"""Pictures of the lunar lander, in the look of gymnasium's."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxes.envs.own.lunar_lander import forces, moon
from jaxes.envs.own.lunar_lander.body import HULL, SCALE
from jaxes.envs.own.planar import canvas, shapes
from jaxes.envs.own.planar.canvas import Canvas

MOON, SKY, POLE, FLAG = (255, 255, 255), (0, 0, 0), (255, 255, 255), (204, 204, 0)
LANDER, LANDER_EDGE = (128, 102, 230), (77, 77, 128)

LEG = np.array([(-2, -8), (2, -8), (2, 8), (-2, 8)]) / SCALE
FLAGS = 0.4 * moon.WIDTH, 0.6 * moon.WIDTH  # m: x of both

# Flames are balls that fly away from the engines; they are only seen.
BALL, GRAVITY, BOUNCE, SECONDS, FADING = 2 / SCALE, -10.0, 0.3, 1 / 50, 0.15
# 1/s: of a ball, by its way out.
MAIN_SPEED, SIDE_SPEED = forces.MAIN_POWER / (3.5 * np.pi * BALL**2), forces.SIDE_POWER / (0.7 * np.pi * BALL**2)


def frames(moments: list[Any], height: int = 360, width: int = 480) -> list[np.ndarray]:
    """Draw the moments of an episode.

    Args:
        moments: physics with NumPy arrays: `bodies.position` float32[3, 2] (centers of mass of the lander and of its
            legs), `bodies.angle` float32[3], `ground` float32[11] (heights of the moon's corners), and `main` and
            `side` float32[] (the engines' power in the step before; below 0 where the engine at the other side fires).
        height: of a picture, at most, in pixels.
        width: likewise.

    Returns:
        Pictures, uint8[height, width, 3], three of width for two of height.
    """
    out, flames, random = [], np.zeros((0, 5)), np.random.default_rng(0)
    for now in moments:
        flames = _moved(np.concatenate([flames, *_fired(now, random)]), np.asarray(now.ground, float))
        out.append(_picture(now, flames, height, width))
    return out


def _picture(now: Any, flames: np.ndarray, height: int, width: int) -> np.ndarray:
    page, ground, top = Canvas(height, width, MOON), np.asarray(now.ground, float), moon.HEIGHT
    x = moon.X
    for i in range(len(x) - 1):
        page.polygon([(x[i], ground[i]), (x[i + 1], ground[i + 1]), (x[i + 1], top), (x[i], top)], SKY)
    for left, low, _, _, strength in flames:
        red, other = max(0.2, 0.15 + strength), max(0.2, 0.5 * strength)
        page.disc((left, low), BALL, (int(255 * red), int(255 * other), int(255 * other)))
    for shape, position, angle in zip(_shapes(), now.bodies.position, now.bodies.angle, strict=True):
        page.polygon(canvas.placed(shape, position, float(angle)), LANDER, LANDER_EDGE)
    for pole in FLAGS:
        high = moon.PAD + 50 / SCALE
        page.line([(pole, moon.PAD), (pole, high)], POLE)
        page.polygon([(pole, high), (pole, high - 10 / SCALE), (pole + 25 / SCALE, high - 5 / SCALE)], FLAG)
    return page.picture()


@functools.cache
def _center() -> np.ndarray:
    """The lander's center of mass, from its origin."""
    return np.asarray(shapes.mass(jnp.asarray(HULL)).center, float)


def _shapes() -> list[np.ndarray]:
    """The corners of all bodies around their centers of mass, float[n, 2] each."""
    return [HULL - _center(), LEG, LEG]


def _fired(now: Any, random: np.random.Generator) -> list[np.ndarray]:
    """A ball from each engine that fires, float[1, 5] each: where it is, how fast it flies, how bright it is."""
    angle, main, side = float(now.bodies.angle[0]), float(now.main), float(now.side)
    up, left = np.array([-np.sin(angle), np.cos(angle)]), np.array([-np.cos(angle), -np.sin(angle)])
    origin = np.asarray(now.bodies.position[0], float) + canvas.placed(-_center(), np.zeros(2), angle)
    shake, out = random.uniform(-1, 1, 2) / SCALE, []
    if main > 0:
        way = -(forces.MAIN_BELOW + 2 * shake[0]) * up + shake[1] * left
        out.append(np.array([[*(origin + way), *(MAIN_SPEED * main * way), main]]))
    if side != 0:
        way = -shake[0] * up + (3 * shake[1] + np.sign(side) * forces.SIDE_AWAY) * left
        place = origin + way + (forces.SIDE_X * up[0], forces.SIDE_Y * up[1])
        out.append(np.array([[*place, *(SIDE_SPEED * abs(side) * way), abs(side)]]))
    return out


def _moved(flames: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """The balls, float[n, 5], that are still seen after a step: fallen, or come back from the moon."""
    x, y, right, up, strength = flames.T
    up = up + GRAVITY * SECONDS
    x, y, strength = x + right * SECONDS, y + up * SECONDS, strength - FADING
    floor = np.interp(x, moon.X, ground) + BALL
    under = y < floor
    moved = np.stack([x, np.where(under, floor, y), right, np.where(under, -BOUNCE * up, up), strength], axis=1)
    return moved[strength >= 0]
