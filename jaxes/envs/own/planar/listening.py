"""What gymnasium's environments are told of contacts with the ground."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar.world import Met


class Heard(NamedTuple):
    """Of each of some bodies, whether it is said to touch the ground, and what it does touch."""

    touching: jax.Array  # bool[b]
    edges: jax.Array  # int32[b, 2 e]: the numbers of edges, -1 for none


def nothing(bodies: int, edges: int) -> Heard:
    """Before the first step: `bodies` bodies, of which each can touch `edges` edges at once."""
    return Heard(jnp.zeros(bodies, bool), jnp.full((bodies, 2 * edges), -1, jnp.int32))


def listen(heard: Heard, met: Met, which: list[int]) -> Heard:
    """What is heard after a step.

    gymnasium takes notice of a body's contacts with edges one by one, when they begin and when they end: a foot that
    leaves an edge for the next one counts as lifted until it touches a further one.

    Args:
        heard: after the step before.
        met: in this step.
        which: the bodies, by their places in `Plan.grounded`.
    """
    some = jnp.array(which)
    now, struck = met.edges[some], met.struck[some]
    begins = ((now >= 0) & ~_among(now, heard.edges)).any(1)
    ends = ((heard.edges >= 0) & ~_among(heard.edges, now)).any(1)
    late = (struck >= 0) & ~_among(struck, now)
    touching = ((heard.touching | begins) & ~ends) | late.any(1)
    return Heard(touching, jnp.concatenate([now, jnp.where(late, struck, -1)], 1))


def _among(some: jax.Array, others: jax.Array) -> jax.Array:
    """For int32[b, k] and int32[b, l], which of the first, bool[b, k], are among the second."""
    return ((some[:, :, None] == others[:, None]) & (some >= 0)[:, :, None]).any(2)
