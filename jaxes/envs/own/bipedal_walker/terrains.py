"""The ground of the bipedal walker, made as gymnasium makes it: by chance, step after step from left to right.

Facts and constants are those of gymnasium's BipedalWalker-v3 (Oleg Klimov).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

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
    WIDE,
    X,
    along,
    kicks,
    roll,
)
from jaxes.envs.own.planar.terrain import Terrain


class Chances(NamedTuple):
    """What may be drawn at each of the 200 points; a point heeds what it needs."""

    kick: jax.Array  # float32[200]: how the slope changes, m a step
    length: jax.Array  # int32[200]: steps of grass that begin after this point, 5 to 9
    kind: jax.Array  # int32[200]: of the obstacle that begins after this point, STUMP, STAIRS or PIT
    large: jax.Array  # bool[200]: whether an obstacle that begins here is the larger one of its kind
    up: jax.Array  # bool[200]: whether stairs that begin here go up


def chances(key: jax.Array) -> Chances:
    """Draw numbers for every point; all choices of a point come from one number."""
    slopes, choices = jax.random.split(key)
    choice = jax.random.randint(choices, (POINTS,), 0, LENGTHS * 3 * 2 * 2)
    length, kind = SHORTEST + choice % LENGTHS, STUMP + choice // LENGTHS % 3
    return Chances(kicks(slopes), length, kind, choice // (3 * LENGTHS) % 2 == 1, choice // (6 * LENGTHS) == 1)


def flat(key: jax.Array) -> Terrain:
    """Grass alone, as in gymnasium's BipedalWalker-v3.

    Args:
        key: what the ground is drawn from.

    Returns:
        A `Terrain` of 200 vertices; x is a constant of NumPy.

    >>> import jax
    >>> ground = flat(jax.random.key(0))
    >>> ground.x.shape, float(ground.x[1]), float(ground.y[0])
    ((200,), 0.46666666865348816, 3.3333332538604736)
    """
    return flat_of(chances(key))


def flat_of(drawn: Chances) -> Terrain:
    """`flat` with chances that were drawn before."""

    def point(carry, drawn):
        y, slope, left = carry
        after, bent = roll(y, slope, drawn.kick)
        fresh = left == 0
        y, slope = jnp.where(fresh, y, after), jnp.where(fresh, slope, bent)
        left = jnp.where(fresh, drawn.before, left) - 1
        return (y, slope, left), y

    start = jnp.float32(LEVEL), jnp.float32(0), jnp.int32(PAD)
    return Terrain(X, jax.lax.scan(point, start, _steps(drawn))[1])


class _Drawn(NamedTuple):
    """What a point needs of the chances."""

    kick: jax.Array  # float32[]
    before: jax.Array  # int32[]: `length` of the point before
    kind: jax.Array  # int32[]: `kind` of the point before
    large: jax.Array  # bool[]
    up: jax.Array  # bool[]


def _steps(drawn: Chances) -> _Drawn:
    """The chances as what each point, of 200, needs of them."""
    last = lambda values: jnp.roll(values, 1)
    return _Drawn(drawn.kick, last(drawn.length), last(drawn.kind), drawn.large, drawn.up)


class _Piece(NamedTuple):
    """The stretch of grass, or the obstacle, that the generator is in."""

    kind: jax.Array  # int32[]: GRASS, STUMP, STAIRS or PIT
    at: jax.Array  # int32[]: steps from its first point
    length: jax.Array  # int32[]: in steps
    size: jax.Array  # int32[]: width of a stump, steps of a stair, distance of a pit's two boxes
    rise: jax.Array  # float32[]: 1 for stairs that go up, -1 for stairs that go down
    base: jax.Array  # float32[]: m: height of its first point


def hardcore(key: jax.Array) -> Terrain:
    """Grass with stumps, stairs and pits, as in gymnasium's BipedalWalkerHardcore-v3.

    gymnasium lays boxes over its grass; this is what both have for a surface. Each of the 199 steps has two vertices
    of its own, so that there is a wall between two steps that do not meet.

    Args:
        key: what the ground is drawn from.

    Returns:
        A `Terrain` of 398 vertices; x is a constant of NumPy.

    >>> import jax
    >>> ground = hardcore(jax.random.key(0))
    >>> ground.x.shape, float(ground.x[1]), float(ground.x[2])
    ((398,), 0.46666666865348816, 0.46666666865348816)
    """
    return hardcore_of(chances(key))


def hardcore_of(drawn: Chances) -> Terrain:
    """`hardcore` with chances that were drawn before."""
    return _surface(*_grass_and_boxes(drawn))


def _grass_and_boxes(drawn: Chances) -> tuple[jax.Array, jax.Array]:
    """Heights of the grass at each point, and of the box right of it (-inf where there is none): float32[200] each."""

    def point(carry, drawn):
        y, slope, piece = carry
        piece = _piece(piece, y, drawn)
        rolls = (piece.kind == GRASS) & ((piece.at > 0) | (piece.length == PAD))
        after, bent = roll(y, slope, drawn.kick)
        y = jnp.where(rolls, after, _under(piece, y))
        slope = jnp.where(rolls, bent, slope)
        return (y, slope, piece), (y, _box(piece))

    whole = jnp.int32
    pad = _Piece(whole(GRASS), whole(-1), whole(PAD), whole(0), jnp.float32(0), jnp.float32(LEVEL))
    return along(point, (jnp.float32(LEVEL), jnp.float32(0), pad), _steps(drawn))


def _piece(piece: _Piece, y: jax.Array, drawn: _Drawn) -> _Piece:
    """The piece that the next point is in: the same one, or what follows it."""
    obstacle = piece.kind == GRASS
    kind = jnp.where(obstacle, drawn.kind, GRASS)
    size = jnp.where(kind == STUMP, 1, 3) + drawn.large.astype(jnp.int32)
    length = jnp.select([kind == STUMP, kind == STAIRS, kind == PIT], [size, WIDE * size, size + 2], drawn.before)
    follows = _Piece(kind, jnp.int32(0), length, size, jnp.where(drawn.up, 1.0, -1.0), y)
    goes_on = piece.at + 1 < piece.length
    same = piece._replace(at=piece.at + 1)
    return jax.tree.map(lambda a, b: jnp.where(goes_on, a, b.astype(a.dtype)), same, follows)


def _under(piece: _Piece, y: jax.Array) -> jax.Array:
    """The height of the grass in an obstacle, and at the first point of grass: as the point before.

    The grass of stairs is a ramp, over which the boxes of stairs that go up rise only in part.
    """
    inside = piece.at > 0
    in_pit = (piece.kind == PIT) & inside & (piece.at <= piece.size)
    ramp = (piece.at.astype(jnp.float32) - piece.rise) * piece.rise * (STEP / WIDE)
    higher = jnp.where(in_pit, -DEEP * STEP, jnp.where((piece.kind == STAIRS) & inside, ramp, 0))
    return jnp.where(piece.kind == GRASS, y, piece.base + higher)


def _box(piece: _Piece) -> jax.Array:
    """The top of the box right of a point."""
    stair = (piece.at // WIDE).astype(jnp.float32) * piece.rise
    beside = (piece.at == 0) | (piece.at == piece.size)
    higher = jnp.select([piece.kind == STUMP, piece.kind == STAIRS], [piece.size.astype(jnp.float32), stair], 0.0)
    there = (piece.kind == STUMP) | (piece.kind == STAIRS) | ((piece.kind == PIT) & beside)
    return jnp.where(there, piece.base + higher * STEP, -jnp.inf)


def _surface(y: jax.Array, box: jax.Array) -> Terrain:
    """The higher one of grass and box in each step; a box meets the grass only at points."""
    left, right = jnp.maximum(y[:-1], box[:-1]), jnp.maximum(y[1:], box[:-1])
    return Terrain(np.repeat(X, 2)[1:-1], jnp.stack([left, right], axis=1).reshape(-1))
