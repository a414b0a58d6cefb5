"""Ground that is made from genes: which obstacles it has, how large, and genes that are none."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxes.envs.own.bipedal_walker import evolved, genes, terrains
from jaxes.envs.own.bipedal_walker.genes import Genes, Range
from jaxes.envs.own.bipedal_walker.grass import LEVEL, STEP
from jaxes.envs.own.planar.terrain import Terrain, check

KEYS = jax.random.split(jax.random.key(5), 64)


@functools.cache
def maker():
    return jax.jit(jax.vmap(evolved.of_genes, (None, 0)))


def grounds(genes):
    """Ground for each of the keys, x and y in steps, y from the level of the pad."""
    x, y = map(np.asarray, maker()(jax.tree.map(jnp.float32, genes), KEYS))
    for one in zip(x, y):
        check(Terrain(*one))
    return x / STEP, (y - LEVEL) / STEP


def walls(x, y):
    """int[k, 2]: for each wall, which of the grounds has it, and its first vertex."""
    at = np.argwhere((np.diff(x) == 0) & (np.abs(np.diff(y)) > 1e-5))
    return at[at[:, 1] < 350]  # obstacles near the end may be cut


def between(x, y, down):
    """Widths and heights of what lies between a wall and the next one: pits if `down`, else stumps."""
    at = walls(x, y)
    falls = y[at[:, 0], at[:, 1] + 1] < y[at[:, 0], at[:, 1]]
    first = np.flatnonzero((at[1:, 0] == at[:-1, 0]) & (falls[:-1] == down))
    ground, left, right = at[first, 0], at[first, 1], at[first + 1, 1]
    return x[ground, right] - x[ground, left], y[ground, left + 1] - y[ground, left]


def test_ground_without_obstacles_is_gymnasiums_grass():
    rough = np.asarray(maker()(jax.tree.map(jnp.float32, Genes(roughness=1.0)), KEYS).y)
    plain = np.asarray(jax.jit(jax.vmap(terrains.flat))(KEYS).y)
    np.testing.assert_allclose(rough.std(0)[-100:].mean(), plain.std(0)[-50:].mean(), rtol=0.15)
    assert (rough[:, :40] == np.float32(LEVEL)).all()
    _, even = grounds(Genes())
    assert (even == 0).all()
    _, rougher = grounds(Genes(roughness=3.0))
    np.testing.assert_allclose(rougher[:, 100:].std() / rough[:, 100:].std() * STEP, 3, rtol=0.1)


def test_pits_have_the_width_of_their_gene():
    x, y = grounds(Genes(gap=Range(2.0, 5.5)))
    width, height = between(x, y, down=True)
    np.testing.assert_allclose(height, -4, atol=1e-4)
    assert len(width) > 500 and width.min() >= 2 - 1e-4 and width.max() <= 5.5 + 1e-4
    np.testing.assert_allclose(width.mean(), 3.75, atol=0.15)
    steps = np.diff(x[:, ::2])
    assert steps.min() > 0.5
    assert ((x[:, 40:-20:2] - x[:, :-60:2]) > 19).all()  # 20 steps that follow each other


def test_narrow_pits_are_left_out_below_a_tenth_of_a_step():
    width, _ = between(*grounds(Genes(gap=Range(0.0, 0.4))), down=True)
    assert 0.1 - 1e-4 < width.min() < 0.12 and 0.38 < width.max() < 0.4 + 1e-4
    _, even = grounds(Genes(gap=Range(0.05, 0.09)))
    np.testing.assert_allclose(even, 0, atol=1e-5)


def test_stumps_have_height_and_width_of_their_genes():
    width, height = between(*grounds(Genes(stump_height=Range(0.5, 2.5), stump_width=Range(1.0, 3.0))), down=False)
    assert len(height) > 500 and height.min() >= 0.5 - 1e-4 and height.max() <= 2.5 + 1e-4
    np.testing.assert_allclose(height.mean(), 1.5, atol=0.1)
    assert set(width.round(4).tolist()) == {1.0, 2.0}
    width, _ = between(*grounds(Genes(stump_height=Range(1.0, 1.0), stump_width=Range(4.0, 4.0))), down=False)
    assert set(width.round(4).tolist()) == {4.0}


def test_stairs_go_up_or_down():
    x, y = grounds(Genes(stair_height=Range(0.5, 0.5), stair_steps=Range(3.0, 3.0), stair_width=Range(2.0, 2.0)))
    at = walls(x, y)
    rises = y[at[:, 0], at[:, 1] + 1] - y[at[:, 0], at[:, 1]]
    np.testing.assert_allclose(np.abs(rises), 0.5, atol=1e-4)
    assert 0.3 < (rises > 0).mean() < 0.7
    one = at[:, 0] == 0
    places, signs = x[0, at[one, 1]].round(4), np.sign(rises[one])
    flights = len(places) // 3
    places, signs = places[: 3 * flights].reshape(-1, 3), signs[: 3 * flights].reshape(-1, 3)
    assert flights > 5 and (np.diff(places) == 2).all() and (signs == signs[:, :1]).all()


def test_kinds_that_occur_are_as_frequent():
    x, y = grounds(Genes(0.0, Range(1.0, 1.0), Range(2.0, 2.0), Range(1.0, 1.0), Range(1.0, 1.0), Range(1.0, 1.0)))
    at = walls(x, y)
    rises = np.abs(y[at[:, 0], at[:, 1] + 1] - y[at[:, 0], at[:, 1]]).round(3)
    counted = np.array([(rises == 4).sum() / 2, (rises == 2).sum() / 2, (rises == 1).sum()])  # a pit has two walls
    np.testing.assert_allclose(counted / counted.sum(), 1 / 3, atol=0.03)


def test_many_genes_at_once_are_those_one_by_one():
    single = [Genes(0.0), Genes(1.0, Range(0.0, 2.0)), Genes(2.0, Range(1.0, 3.0), Range(1.0, 2.0))]
    many = jax.tree.map(lambda *values: jnp.float32(values), *single)
    together = jax.jit(jax.vmap(evolved.of_genes))(many, KEYS[:3])
    for k, one in enumerate(single):
        alone = maker()(jax.tree.map(jnp.float32, one), KEYS)
        np.testing.assert_allclose(together.y[k], alone.y[k], atol=2e-5)
        np.testing.assert_allclose(together.x[k], alone.x[k], atol=2e-5)


@pytest.mark.parametrize(
    "value, message",
    [
        ({"gap": [0, 9]}, r"genes.gap.high must be from 0 to 8, got 9"),
        ({"gap": [3, 2]}, r"genes.gap must have its low end at or below its high end, got 3 and 2"),
        ({"stump_height": [-0.1, 2]}, r"genes.stump_height.low must be from 0 to 5, got -0.1"),
        ({"stump_width": [0, 2]}, r"genes.stump_width.low must be from 1 to 10, got 0"),
        ({"stair_steps": [1, 9.5]}, r"genes.stair_steps.high must be from 1 to 9, got 9.5"),
        ({"roughness": float("nan")}, r"genes.roughness must be from 0 to 10, got nan"),
        ({"roughness": 11}, r"genes.roughness must be from 0 to 10, got 11"),
        ({"roughness": [1, 2]}, r"genes.roughness must be a scalar, got 2 of them"),
        ({"gap": 3}, r"genes.gap must be a pair of numbers, the low and the high end, got 3"),
        ({"gap": [1, 2, 3]}, r"genes.gap must be a pair of numbers"),
        ({"gap": [0, None]}, r"genes.gap.high must be a number, got None"),
        ({"gap": [0, "2"]}, r"genes.gap.high must be a number, got '2'"),
        ({"gaps": [0, 1]}, r"unknown gene 'gaps'; did you mean gap"),
        ("[1, 2]", r"\[1, 2\]"),
        ("{roughness: 1}", r"genes must be a JSON object such as .*: Expecting property name"),
        ('{"roughness": NaN}', r"genes.roughness must be from 0 to 10, got nan"),
        (3, r"genes must be Genes, a mapping of their names, or a JSON object, got 3"),
        (None, r"genes must be Genes, .* got None"),
    ],
)
def test_what_are_no_genes(value, message):
    with pytest.raises((ValueError, TypeError, OSError), match=message):
        Genes.of(value)


def test_genes_are_kept_in_a_file(tmp_path):
    one = Genes(roughness=0.5, gap=Range(jnp.float32(0.5), jnp.float32(2.5)))
    path = tmp_path / "genes.json"
    path.write_text(json.dumps(one.as_dict()))
    assert Genes.of(path) == Genes.of(str(path)) == Genes.of(path.read_text()) == Genes.of(one) == one
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"a JSON object, got \[1\]"):
        Genes.of(tmp_path / "list.json")
    assert set(genes.LIMITS) == set(Genes._fields)


def test_genes_out_of_range_make_no_ground():
    with pytest.raises(ValueError, match=r"genes.roughness must be from 0 to 10, got -1"):
        evolved.of_genes(Genes(roughness=-1.0), KEYS[0])
