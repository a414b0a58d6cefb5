"""The bipedal walker's ground against gymnasium's, given the same random numbers, and what may not be ground."""

import functools

import jax
import numpy as np
import pytest

from jaxes.envs.own.bipedal_walker import terrains
from jaxes.envs.own.bipedal_walker.grass import PIT, POINTS, STAIRS, STEP
from jaxes.envs.own.bipedal_walker.terrains import Chances
from jaxes.envs.own.planar.terrain import Terrain, check

SEEDS = range(40)


class Recorder:
    """A generator of random numbers that notes which were drawn for which point of the ground."""

    def __init__(self, generator, env):
        self.generator, self.env = generator, env
        self.drawn = Chances(
            kick=np.zeros(POINTS, np.float32),
            length=np.full(POINTS, 5),
            kind=np.full(POINTS, PIT),
            large=np.zeros(POINTS, bool),
            up=np.zeros(POINTS, bool),
        )

    def __getattr__(self, name):
        return getattr(self.generator, name)

    def note(self, field, value):
        if len(self.env.terrain_y) < POINTS:  # else the clouds are drawn
            getattr(self.drawn, field)[len(self.env.terrain_x) - 1] = value
        return value

    def uniform(self, low, high):
        value = self.generator.uniform(low, high)
        if (low, high) == (-1, 1):
            self.note("kick", value / 30)
        return value

    def random(self):
        value = self.generator.random()
        self.note("up", value > 0.5)
        return value

    def integers(self, low, high):
        value = self.generator.integers(low, high)
        fields = {(5, 10): "length", (1, 4): "kind", (1, 3): "large", (3, 5): "large"}
        if field := fields.get((low, high)):
            self.note(field, value > low if field == "large" else value)
        return value


@functools.cache
def theirs(hardcore, seed):
    """gymnasium's environment and the chances of its ground."""
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("Box2D")
    env = gymnasium.make("BipedalWalker-v3", hardcore=hardcore).unwrapped
    gymnasium.Env.reset(env, seed=seed)
    env.np_random = recorder = Recorder(env.np_random, env)
    env.reset()
    return env, recorder.drawn


def surface(env, x):
    """The highest point of gymnasium's fixtures over each x, which lies on no corner."""
    top = np.full(len(x), -np.inf)
    for body in env.terrain:
        for fixture in body.fixtures:
            corners = np.array(fixture.shape.vertices)
            for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0)):
                if abs(bx - ax) < 1e-4:
                    continue
                part = (x - ax) / (bx - ax)
                top = np.where((part >= 0) & (part <= 1), np.maximum(top, ay + part * (by - ay)), top)
    return top


def heights(terrain, x):
    return np.interp(x, np.asarray(terrain.x, float), np.asarray(terrain.y, float))


def test_the_flat_ground_is_gymnasiums():
    ours = jax.jit(terrains.flat_of)
    for seed in SEEDS:
        env, drawn = theirs(False, seed)
        ground = ours(drawn)
        np.testing.assert_allclose(ground.x, env.terrain_x, atol=1e-5)
        np.testing.assert_allclose(ground.y, env.terrain_y, atol=1e-5)


def test_the_hardcore_ground_is_gymnasiums():
    """Its surface, for grass under boxes cannot be touched."""
    ours = jax.jit(terrains.hardcore_of)
    beside = (STEP * np.arange(POINTS - 1)[:, None] + STEP * np.array([0.002, 0.3, 0.6, 0.998])).ravel()
    met = set()
    for seed in SEEDS:
        env, drawn = theirs(True, seed)
        ground = ours(drawn)
        check(ground)
        np.testing.assert_allclose(heights(ground, beside), surface(env, beside), atol=2e-5)
        met |= {(int(drawn.kind[i - 1]), bool(drawn.large[i]), bool(drawn.up[i])) for i in range(1, POINTS)}
    assert {(STAIRS, large, up) for large in (False, True) for up in (False, True)} < met


@pytest.mark.parametrize("make", [terrains.flat, terrains.hardcore])
def test_grounds_differ_by_key_alone(make):
    keys = jax.random.split(jax.random.key(3), 4)
    many = np.asarray(jax.jit(jax.vmap(lambda key: make(key).y))(keys))
    np.testing.assert_array_equal(many[2], jax.jit(make)(keys[2]).y)
    assert len(np.unique(many[:, -1])) == 4
    assert (many[:, :20] == many[0, 0]).all()


def test_what_may_be_drawn():
    drawn = jax.jit(jax.vmap(terrains.chances))(jax.random.split(jax.random.key(0), 200))
    count = lambda values: np.bincount(np.asarray(values).ravel().astype(int)) / np.size(values)
    np.testing.assert_allclose(count(drawn.length)[5:], [1 / 5] * 5, atol=0.01)
    np.testing.assert_allclose(count(drawn.kind)[1:], [1 / 3] * 3, atol=0.01)
    np.testing.assert_allclose([np.mean(drawn.large), np.mean(drawn.up)], 0.5, atol=0.01)
    np.testing.assert_allclose([30 * np.mean(drawn.kick), 30**2 * np.var(drawn.kick[:, 21:])], [0, 1 / 3], atol=0.01)


@pytest.mark.parametrize(
    "x, y, message",
    [
        ([0, 2, 1], [0, 0, 0], r"terrain.x must never fall, .* got 2 and then 1 at 1"),
        ([0, 1, 1, 1, 2], [0, 0, 2, 1, 1], r"overlaps itself; got 0, 2, 1 at x = 1"),
        ([0, 1, 1, 1, 1, 2], [0, 3, 2, 2, 4, 1], r"overlaps itself; got 3, 2, 2, 4 at x = 1"),
        ([0, 1], [0, np.nan], r"terrain.y\[1\] must be finite, got nan"),
        ([0, np.inf], [0, 1], r"terrain.x\[1\] must be finite, got inf"),
        ([0], [0], "two or more vertices, got shapes"),
        ([0, 1, 2], [0, 1], r"got shapes \(3,\) and \(2,\)"),
        ([[0, 1]], [[0, 1]], "got shapes"),
        ([1, 1], [0, 1], "terrain.x must rise from its first vertex to its last, got 1 everywhere"),
    ],
)
def test_what_is_no_ground(x, y, message):
    with pytest.raises(ValueError, match=message):
        check(Terrain(x, y))


def test_other_things_that_are_no_ground():
    with pytest.raises(TypeError, match=r"terrain.x must be real numbers, got dtype <U1"):
        check(Terrain(["a", "b"], [0, 1]))
    with pytest.raises(ValueError, match="terrain must be a pair of x and y, got int"):
        check(3)
    assert check(([0, 1, 1, 1, 2], [0, 0, 1, 2, 2])).y.dtype == np.float32
    jax.jit(check)(Terrain(np.arange(3.0), np.zeros(3)))
