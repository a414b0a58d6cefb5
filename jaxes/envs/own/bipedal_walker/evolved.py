"""Ground that is made from genes: grass with pits, stumps and stairs of any size.

Wang et al.: "Paired Open-Ended Trailblazer (POET)", 2019, arXiv:1901.01753.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own.bipedal_walker.genes import Genes, check
from jaxes.envs.own.bipedal_walker.grass import (
    DEEP,
    GRASS,
    LENGTHS,
    LEVEL,
    PAD,
    PIT,
    POINTS,
    SHORTEST,
    STAIRS,
    STEP,
    STUMP,
    along,
    kicks,
    roll,
)
from jaxes.envs.own.planar.terrain import Terrain

NARROWEST = 0.1  # steps: a pit that would be narrower is left out


class _Chances(NamedTuple):
    """What may be drawn at each of the 200 points; a point heeds what it needs."""

    kick: jax.Array  # float32[200]: how the slope changes, m a step
    length: jax.Array  # int32[200]: steps of grass that begin here
    up: jax.Array  # bool[200]: whether stairs that begin here go up
    kind: jax.Array  # float32[200], in [0, 1) as what follows: which of the kinds that occur begins here
    size: jax.Array  # float32[200]: where in their range heights and gaps lie
    width: jax.Array  # float32[200]: likewise, widths
    stairs: jax.Array  # float32[200]: likewise, numbers of stairs


class _Piece(NamedTuple):
    """The stretch of grass, or the obstacle, that the generator is in."""

    kind: jax.Array  # int32[]: GRASS, STUMP, STAIRS or PIT
    at: jax.Array  # int32[]: steps from its first point
    length: jax.Array  # int32[]: in steps
    width: jax.Array  # int32[]: steps of one stair, or between the edges of a pit before they are moved
    size: jax.Array  # float32[]: height of a stump or of a stair, or width of a pit, in steps
    rise: jax.Array  # float32[]: 1 for stairs that go up, -1 for stairs that go down
    base: jax.Array  # float32[]: m: height of its first point


def of_genes(genes: Genes, key: jax.Array) -> Terrain:
    """Ground by genes.

    Between obstacles are 5 to 9 steps of grass, as in gymnasium. A pit is `gap` wide, and left out below a tenth of a
    step. Its bottom is cut into equal steps, each wider than a half unless the pit itself is narrower; everything else
    is 1 step wide or more, so that k steps that follow each other take more than k - 1. Stumps stand on the grass: the
    gene of POET that lifts them above it was always 0 in its runs, and is none here. Stairs of n steps go n times up or
    down.

    Args:
        genes: numbers may be traced.
        key: what the ground is drawn from.

    Returns:
        A `Terrain` of 398 vertices, two for each step, so that there is a wall between two steps that do not meet.

    Raises:
        ValueError: if a number that is not traced is out of its limits; the message names it.

    >>> import jax
    >>> even = of_genes(Genes(), jax.random.key(0))
    >>> even.x.shape, float(even.y.min()) == float(even.y.max())
    ((398,), True)
    """
    check(genes)
    genes = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), genes)

    def point(carry, drawn):
        y, slope, piece = carry
        piece = _next(piece, y, genes, drawn)
        grass = piece.kind == GRASS
        after, bent = roll(y, slope, drawn.kick, genes.roughness)
        rolls = grass & ((piece.at > 0) | (piece.length == PAD))
        y, slope = jnp.where(rolls, after, y), jnp.where(rolls, bent, slope)
        ground, beyond = jnp.where(grass, y, piece.base), jnp.where(grass, y, _behind(piece))
        return (beyond, slope, piece), (ground, jnp.where(grass, jnp.nan, _top(piece)), _moved(piece))

    level, none = jnp.float32(LEVEL), jnp.float32(0)
    pad = _Piece(jnp.int32(GRASS), jnp.int32(-1), jnp.int32(PAD), jnp.int32(1), none, none, level)
    ground, top, moved = along(point, (level, none, pad), _chances(key))
    x = STEP * (np.arange(POINTS, dtype=np.float32) + moved)
    flat = lambda left, right: jnp.stack([left, right], axis=1).reshape(-1)
    choose = lambda y: jnp.where(jnp.isnan(top[:-1]), y, top[:-1])
    return Terrain(flat(x[:-1], x[1:]), flat(choose(ground[:-1]), choose(ground[1:])))


def _chances(key: jax.Array) -> _Chances:
    slopes, choices, shares = jax.random.split(key, 3)
    choice = jax.random.randint(choices, (POINTS,), 0, 2 * LENGTHS)
    share = jax.random.uniform(shares, (4, POINTS), jnp.float32)
    return _Chances(kicks(slopes), SHORTEST + choice % LENGTHS, choice // LENGTHS == 1, *share)


def _next(piece: _Piece, y: jax.Array, genes: Genes, drawn: _Chances) -> _Piece:
    """The piece that the next point is in: the same one, or what follows it."""
    goes_on = piece.at + 1 < piece.length
    follows = jax.tree.map(
        lambda obstacle, grass: jnp.where(piece.kind == GRASS, obstacle, grass),
        _obstacle(y, genes, drawn),
        _Piece(jnp.int32(GRASS), jnp.int32(0), drawn.length, jnp.int32(1), jnp.float32(0), jnp.float32(0), y),
    )
    same = piece._replace(at=piece.at + 1)
    return jax.tree.map(lambda a, b: jnp.where(goes_on, a, b), same, follows)


def _obstacle(y: jax.Array, genes: Genes, drawn: _Chances) -> _Piece:
    """An obstacle by chance, of the kinds that occur; more grass if none does."""
    in_use = jnp.stack([genes.stump_height.high, genes.stair_height.high, genes.gap.high]) > 0
    order = jnp.cumsum(in_use.astype(jnp.int32))
    nth = jnp.minimum((drawn.kind * order[2].astype(jnp.float32)).astype(jnp.int32), order[2] - 1)
    kind = jnp.where(order[2] > 0, STUMP + jnp.sum(order <= nth, dtype=jnp.int32), GRASS)
    of = lambda within, share: within.low + share * (within.high - within.low)
    whole = lambda within, share: jnp.floor(of(within, share)).astype(jnp.int32)
    one = lambda stump, stairs, pit, grass: jnp.select(
        [kind == STUMP, kind == STAIRS, kind == PIT], [stump, stairs, pit], grass
    )

    gap = of(genes.gap, drawn.size)
    gap = jnp.where(gap < NARROWEST, 0, gap)
    between = jnp.maximum(jnp.ceil(gap).astype(jnp.int32), 1)
    stair, stairs = whole(genes.stair_width, drawn.width), whole(genes.stair_steps, drawn.stairs)
    length = one(whole(genes.stump_width, drawn.width), stair * stairs, between + 3, drawn.length)
    width = one(jnp.int32(1), stair, between, jnp.int32(1))
    size = one(of(genes.stump_height, drawn.size), of(genes.stair_height, drawn.size), gap, jnp.float32(0))
    return _Piece(kind, jnp.int32(0), length, width, size, jnp.where(drawn.up, 1.0, -1.0), y)


def _behind(piece: _Piece) -> jax.Array:
    """The height of the grass behind an obstacle."""
    stairs = (piece.length // piece.width).astype(jnp.float32)
    return piece.base + jnp.where(piece.kind == STAIRS, piece.rise * stairs * piece.size * STEP, 0)


def _top(piece: _Piece) -> jax.Array:
    """The height of an obstacle's step, which is level."""
    stair = (piece.at // piece.width).astype(jnp.float32)
    stair = jnp.where(piece.rise > 0, stair + 1, -stair) * piece.size
    inside = (piece.at > 0) & (piece.at <= piece.width) & (piece.size > 0)
    steps = jnp.select([piece.kind == STUMP, piece.kind == STAIRS], [piece.size, stair], jnp.where(inside, -DEEP, 0.0))
    return piece.base + steps * STEP


def _moved(piece: _Piece) -> jax.Array:
    """By how many steps a point is moved, so that a pit has its width: evenly from its left edge to its right one."""
    missing = 1 - piece.size / piece.width.astype(jnp.float32)
    steps = (piece.at - 1).astype(jnp.float32)
    inside = (piece.kind == PIT) & (piece.at > 0) & (piece.at <= piece.width + 1) & (piece.size > 0)
    return jnp.where(inside, -missing * steps, 0)
