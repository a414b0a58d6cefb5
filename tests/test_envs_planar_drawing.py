"""The pictures of the lunar lander and the bipedal walker: what is drawn where, in gymnasium's colors."""

import types

import jax
import numpy as np
import pytest
from test_envs_bipedal_terrain import SEEDS, theirs

from jaxes.envs.own.bipedal_walker import drawing as walker
from jaxes.envs.own.bipedal_walker import grass, terrains
from jaxes.envs.own.lunar_lander import drawing as lander
from jaxes.envs.own.planar.terrain import Terrain

Bodies = types.SimpleNamespace


def walking(x=10.0, y=5.6, terrain=None, **changed):
    """A walker that stands upright at x."""
    down = np.array([(0, 0), (0, -0.3), (0, -1.4), (0, -0.3), (0, -1.4)])
    moment = {
        "bodies": Bodies(position=np.array([x, y]) + down, angle=np.zeros(5)),
        "terrain": Terrain(grass.X, np.full(200, grass.LEVEL)) if terrain is None else terrain,
        "lidar": np.ones(10),
    }
    return types.SimpleNamespace(**(moment | changed))


def landing(**changed):
    """A lander above an even moon."""
    position = np.array([(10, 8), (9.4, 7.4), (10.6, 7.4)])
    moment = {"bodies": Bodies(position=position, angle=np.zeros(3)), "ground": np.full(11, 10 / 3)}
    return types.SimpleNamespace(**(moment | {"main": 0.0, "side": 0.0} | changed))


def count(picture, color):
    return int((picture == color).all(-1).sum())


def test_the_walker_is_drawn_at_its_place():
    picture = walker.frames([walking()], height=400, width=600)[0]
    assert picture.shape == (400, 600, 3) and picture.dtype == np.uint8
    at = lambda x, y: tuple(picture[int(400 - 30 * y), int(30 * (x - 10 + 4))].tolist())  # the hull is at a fifth
    assert at(10, 5.6) == walker.HULL and at(10, 4.9) == walker.NEAR_LEG and at(10, 1) == walker.EARTH
    assert at(23, 6) == walker.SKY
    assert count(picture, walker.FLAG) == 0 < count(walker.frames([walking(5.0)])[0], walker.FLAG)


def test_pictures_have_gymnasiums_shape_and_even_sides():
    sizes = {(360, 480): (320, 480), (400, 600): (400, 600), (201, 301): (200, 300), (100, 1000): (100, 150)}
    for (height, width), shape in sizes.items():
        assert walker.frames([walking()], height, width)[0].shape == (*shape, 3)
        assert lander.frames([landing()], height, width)[0].shape == (*shape, 3)


def test_a_ray_flashes_twenty_pictures_of_a_hundred():
    red = lambda picture: ((picture[..., 0] > 230) & (picture[..., 1:] < 150).all(-1)).sum() > 5
    reds = [red(picture) for picture in walker.frames([walking()] * 130, 200, 300)]
    assert reds[:19] == [True] * 19 and not any(reds[19:98]) and all(reds[99:119]) and not any(reds[119:])


def test_the_boxes_are_gymnasiums():
    """All that stand before the goal, told from nothing but the surface."""
    ours = jax.jit(terrains.hardcore_of)
    for seed in SEEDS:
        env, drawn = theirs(True, seed)
        polygons = [fixture.shape.vertices for body in env.terrain for fixture in body.fixtures]
        boxes = {tuple(np.array([np.min(p, 0), np.max(p, 0)]).round(2).ravel()) for p in polygons if len(p) == 4}
        found = {tuple(box.round(2).ravel()) for box in walker._ground(ours(drawn)).boxes}
        inside = lambda boxes: np.array(sorted(box for box in boxes if box[2] < 88))
        np.testing.assert_allclose(inside(found), inside(boxes), atol=0.02)


@pytest.mark.parametrize("y", [-20.0, 60.0])
def test_the_picture_follows_a_walker_far_up_or_down(y):
    picture = walker.frames([walking(y=y, terrain=Terrain(grass.X, np.full(200, y - 2)))])[0]
    assert count(picture, walker.HULL) > 500 and count(picture, walker.EARTH) > 3000


def test_what_is_not_finite_is_not_drawn():
    lost = Bodies(position=np.full((5, 2), np.nan), angle=np.full(5, np.nan))
    assert count(walker.frames([walking(bodies=lost)])[0], walker.HULL) == 0
    lost = Bodies(position=np.full((3, 2), np.inf), angle=np.zeros(3))
    assert count(lander.frames([landing(bodies=lost, main=1.0, side=np.nan)])[0], lander.LANDER) == 0


def test_the_lander_is_drawn_at_its_place():
    picture = lander.frames([landing()], height=400, width=600)[0]
    at = lambda x, y: tuple(picture[int(400 - 30 * y), int(30 * x)].tolist())
    assert at(10, 8) == at(9.4, 7.4) == lander.LANDER
    assert at(10, 6) == lander.SKY and at(10, 3) == lander.MOON
    assert at(8.3, 4.85) == at(12.3, 4.85) == lander.FLAG


def test_flames_fly_away_from_the_engines_and_fade():
    for engine, beyond in (("main", (slice(160, 300), slice(280, 320))), ("side", (slice(120, 200), slice(318, 400)))):
        moments = [landing(**{engine: -1.0 if engine == "side" else 1.0})] + [landing()] * 8
        pictures = lander.frames(moments, height=400, width=600)
        red = [int((picture[beyond][..., 0].astype(int) - picture[beyond][..., 2] > 50).sum()) for picture in pictures]
        assert red[0] > 5 and red[-1] == 0
