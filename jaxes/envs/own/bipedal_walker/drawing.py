"""Pictures of the bipedal walker, in the look of gymnasium's."""

import functools
import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxes.envs.own.bipedal_walker import body
from jaxes.envs.own.bipedal_walker.grass import DEEP, LEVEL, SCALE, STEP, WIDE
from jaxes.envs.own.planar import canvas, shapes
from jaxes.envs.own.planar.canvas import Canvas
from jaxes.envs.own.planar.terrain import Terrain

SKY, CLOUD, EARTH, RAY, POLE, FLAG = (215, 215, 255), (255,) * 3, (102, 153, 76), (255, 0, 0), (0,) * 3, (230, 51, 0)
GRASS = (76, 255, 76), (76, 204, 76)  # by turns
BOX, BOX_EDGE = (255, 255, 255), (153, 153, 153)
HULL, HULL_EDGE = (127, 51, 229), (76, 76, 127)
FAR_LEG, FAR_LEG_EDGE = (178, 101, 152), (127, 76, 101)
NEAR_LEG, NEAR_LEG_EDGE = (128, 51, 102), (77, 26, 51)

BEHIND = canvas.WIDTH / SCALE / 5  # m of the picture that are left of the hull
LOWEST, HIGHEST = 2.5, 11.0  # m above the lower edge of the picture, where the hull is
CLOUDS, CLOUD_WIDTH, CLOUD_HEIGHT, CLOUD_BLUR = 10, 15 * STEP, 5 * STEP, 5 * STEP
PERIOD = 100  # pictures from one sweep of the lidar's rays to the next
SIGHT = 160 / SCALE  # m: the length of a ray
EPSILON = 1e-3  # m: heights that differ by less are equal


def frames(moments: list[Any], height: int = 360, width: int = 480) -> list[np.ndarray]:
    """Draw the moments of an episode.

    Args:
        moments: physics with NumPy arrays: `bodies.position` float32[5, 2] (centers of mass of the hull, and of the
            upper and lower part of both legs, the far one first), `bodies.angle` float32[5], `terrain`, and `lidar`
            float32[10] (how far its rays come, 1 for all the way).
        height: of a picture, at most, in pixels.
        width: likewise.

    Returns:
        Pictures, uint8[height, width, 3], three of width for two of height.
    """
    out, terrain = [], moments[0].terrain
    ground = _ground(terrain)
    for k, now in enumerate(moments):
        if not all(map(np.array_equal, now.terrain, terrain)):
            terrain, ground = now.terrain, _ground(now.terrain)
        out.append(_picture(now, ground, k + 1, height, width))
    return out


def _picture(now: Any, ground: "_Ground", k: int, height: int, width: int) -> np.ndarray:
    """The `k`-th picture."""
    positions, angles = np.asarray(now.bodies.position, float), np.asarray(now.bodies.angle, float)
    hull, center = _shapes()[0], positions[0]
    origin = canvas.placed(-_center(), center, angles[0])
    left = max(0.0, float(origin[0]) - BEHIND) if np.isfinite(origin[0]) else 0.0
    page = Canvas(height, width, SKY, left, _bottom(float(center[1])))
    for cloud in _clouds():
        page.polygon(cloud + np.array([left / 2, page.bottom]), CLOUD)
    _draw_ground(page, ground)
    ray = k % PERIOD
    if ray < 20:
        ray = ray if ray < 10 else 19 - ray
        way = np.array([math.sin(0.15 * ray), -math.cos(0.15 * ray)]) * SIGHT * float(now.lidar[ray])
        page.line([origin, origin + way], RAY)
    colors = (FAR_LEG, FAR_LEG_EDGE), (FAR_LEG, FAR_LEG_EDGE), (NEAR_LEG, NEAR_LEG_EDGE), (NEAR_LEG, NEAR_LEG_EDGE)
    for part in range(1, 5):
        page.polygon(canvas.placed(_shapes()[part], positions[part], angles[part]), *colors[part - 1])
    page.polygon(canvas.placed(hull, center, angles[0]), HULL, HULL_EDGE)
    _draw_flag(page)
    return page.picture()


def _bottom(y: float) -> float:
    """The lower edge of the picture: 0, as in gymnasium, unless the hull would be too near to an edge, or beyond it."""
    return min(0.0, y - LOWEST) + max(0.0, y - HIGHEST) if math.isfinite(y) else 0.0


def _draw_flag(page: Canvas) -> None:
    """The flag near the left end."""
    x, top, down, right = 3 * STEP, LEVEL + 50 / SCALE, 10 / SCALE, 25 / SCALE
    page.line([(x, LEVEL), (x, top)], POLE)
    page.polygon([(x, top), (x, top - down), (x + right, top - down / 2)], FLAG, POLE)


@functools.cache
def _center() -> np.ndarray:
    """The hull's center of mass, from its origin."""
    return np.asarray(shapes.mass(jnp.asarray(body.HULL)).center, float)


@functools.cache
def _shapes() -> list[np.ndarray]:
    """The corners of all bodies around their centers of mass, float[n, 2] each."""
    box = lambda w, h: np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2
    upper, lower = box(body.LEG_WIDTH, body.LEG_HEIGHT), box(body.LOWER_WIDTH, body.LEG_HEIGHT)
    return [body.HULL - _center(), upper, lower, upper, lower]


@functools.cache
def _clouds() -> np.ndarray:
    """The corners of clouds, float[CLOUDS, 5, 2], the same in every film."""
    random = np.random.default_rng(0)
    turn = 2 * math.pi * np.arange(5) / 5
    around = np.stack([CLOUD_WIDTH * np.sin(turn), CLOUD_HEIGHT * np.cos(turn)], axis=1)
    middle = np.stack([random.uniform(0, 200 * STEP, CLOUDS), np.full(CLOUDS, 0.75 * canvas.HEIGHT / SCALE)], axis=1)
    return middle[:, None] + around + random.uniform(0, CLOUD_BLUR, (CLOUDS, 5, 2))


class _Ground(NamedTuple):
    """What is drawn of a terrain."""

    cells: np.ndarray  # float[n, 2, 2]: left and right end of each piece that is no wall
    boxes: np.ndarray  # float[m, 2, 2]: lower left and upper right corner of the boxes that obstacles are built of


def _draw_ground(page: Canvas, ground: _Ground) -> None:
    """Earth, grass upon it, and the boxes."""
    right = page.left + canvas.WIDTH / SCALE
    seen = lambda pieces: pieces[(pieces[:, 1, 0] >= page.left) & (pieces[:, 0, 0] <= right)]
    cells = seen(ground.cells)
    for (x, y), (x_right, y_right) in cells:
        page.polygon([(x, y), (x_right, y_right), (x_right, page.bottom), (x, page.bottom)], EARTH)
    for start, end in cells:
        page.line([start, end], GRASS[round(start[0] / STEP) % 2])
    for (x, low), (x_right, high) in seen(ground.boxes):
        page.polygon([(x, low), (x_right, low), (x_right, high), (x, high)], BOX, BOX_EDGE)


def _ground(terrain: Terrain) -> _Ground:
    """Cells and boxes of a terrain.

    A terrain does not tell its boxes; they are what stands beside its walls. Pits have boxes one step wide at both
    sides, and stumps and stairs are as wide as they are level, stairs at most four steps where grass goes on from them.
    Of gymnasium's stairs that go up, which are half buried, a wall of a quarter of a step is seen between two boxes.
    """
    line = np.stack([np.asarray(terrain.x, float), np.asarray(terrain.y, float)], axis=1)
    pieces = np.stack([line[:-1], line[1:]], axis=1)
    size = np.abs(pieces[:, 1] - pieces[:, 0])
    walls = pieces[(size[:, 0] < EPSILON) & (size[:, 1] > EPSILON)]
    cells = pieces[size[:, 0] >= EPSILON]
    boxes = [box for wall in walls for box in _beside(wall, cells, walls)]
    return _Ground(cells, np.array(list(dict.fromkeys(boxes))).reshape(-1, 2, 2))


def _beside(wall: np.ndarray, cells: np.ndarray, walls: np.ndarray) -> list[tuple]:
    """The boxes (x, y of the lower left corner, x, y of the upper right one) that a wall belongs to."""
    x, (before, after) = wall[0, 0], wall[:, 1]
    top, low, rises = max(before, after), min(before, after), after > before
    height = top - low
    if rises and abs(height - STEP / WIDE) < EPSILON:
        return [_box(x - WIDE * STEP, top - 2 * STEP, x, top - STEP), _box(x, top - STEP, x + WIDE * STEP, top)]
    end, walled = _level(x, top, rises, cells, walls)
    if not walled:  # grass goes on from the box
        wide = STEP if abs(height - DEEP * STEP) < EPSILON else WIDE * STEP
        end = x + min(wide, end - x) if rises else x - min(wide, x - end)
    return [_box(min(x, end), low, max(x, end), top)]


def _box(*corners: float) -> tuple[float, ...]:
    return tuple(round(float(number), 3) for number in corners)


def _level(x, y, right, cells, walls):
    """How far the ground at (x, y) is level, to the right or to the left, and whether it ends at a wall."""
    here = cells if right else cells[::-1, ::-1]
    here = here[here[:, 0, 0] >= x - EPSILON] if right else here[here[:, 0, 0] <= x + EPSILON]
    for start, end in here:
        if abs(start[1] - y) > EPSILON or abs(end[1] - y) > EPSILON:
            break
        x = end[0]
        if (np.abs(walls[:, 0, 0] - x) < EPSILON).any():
            return x, True
    return x, False
