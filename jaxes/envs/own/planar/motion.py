"""Numbers of bodies as single scalars, which compile to less than parts of arrays."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Vector(NamedTuple):
    """Two numbers of their own, which compile to less than an array of two."""

    x: Any
    y: Any


class Motion(NamedTuple):
    """How bodies move, or where they are: one number for each body."""

    x: tuple[jax.Array, ...]
    y: tuple[jax.Array, ...]
    angle: tuple[jax.Array, ...]

    def pushed(self, body: int, dx: Any, dy: Any, turn: Any) -> "Motion":
        """With something added to one body."""
        add = lambda values, value: (*values[:body], values[body] + value, *values[body + 1 :])
        return Motion(add(self.x, dx), add(self.y, dy), add(self.angle, turn))

    @classmethod
    def of(cls, places: jax.Array, angles: jax.Array) -> "Motion":
        """From float32[n, 2] and float32[n]."""
        every = range(len(angles))
        return cls(
            tuple(places[i, 0] for i in every), tuple(places[i, 1] for i in every), tuple(angles[i] for i in every)
        )

    def arrays(self) -> tuple[jax.Array, jax.Array]:
        """As float32[n, 2] and float32[n]."""
        return jnp.stack([jnp.stack(self.x), jnp.stack(self.y)], -1), jnp.stack(self.angle)


def in_turn(solve: Any, velocity: Motion, parts: list[Any], held: list[Any]) -> tuple[Motion, list[Any]]:
    """Velocities and impulses after `solve(velocity, part, impulses)` of one part after the other."""
    out = []
    for part, impulses in zip(parts, held):
        velocity, impulses = solve(velocity, part, impulses)
        out.append(impulses)
    return velocity, out


def small(vector: Vector, turn: Any) -> Vector:
    """A vector after a turn by an angle, rad; right to the fifth order, which is 2e-5 at half a radian."""
    square = turn * turn
    cos, sin = 1 - square * (0.5 - square / 24), turn * (1 - square * (1 / 6 - square / 120))
    return Vector(cos * vector.x - sin * vector.y, sin * vector.x + cos * vector.y)


def turned(vector: jax.Array, cos: Any, sin: Any) -> Vector:
    """A vector, float32[2], after a turn."""
    return Vector(cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1])
