"""What policies are told of feet on the ground, as gymnasium's listeners hear of contacts."""

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar.world import Met, Plan


def told(
    plan: Plan, feet: tuple[int, ...], before: jax.Array, edges: jax.Array, met: Met
) -> tuple[jax.Array, jax.Array]:
    """Whether feet count as standing on the ground, and the edges that they touch.

    gymnasium takes notice of a foot's contacts with edges one by one, when they begin and when they end: a foot that
    leaves an edge for the next one counts as lifted until it touches a further one.

    Args:
        plan: of which the grounded bodies are needed.
        feet: f of them.
        before: bool[f]: whether they counted as standing before this step.
        edges: int32[f, 2 e]: the edges that they touched before, -1 for none: from the step before, or `none`.
        met: in this step.

    Returns:
        The same for the next step, bool[f] and int32[f, 2 e].
    """
    at = jnp.array([plan.grounded.index(foot) for foot in feet])
    now, struck = met.edges[at], met.struck[at]
    among = lambda some, others: ((some[:, :, None] == others[:, None]) & (some >= 0)[:, :, None]).any(2)
    begins = ((now >= 0) & ~among(now, edges)).any(1)
    ends = ((edges >= 0) & ~among(edges, now)).any(1)
    late = (struck >= 0) & ~among(struck, now)
    standing = ((before | begins) & ~ends) | late.any(1)
    return standing, jnp.concatenate([now, jnp.where(late, struck, -1)], 1)


def none(plan: Plan, feet: tuple[int, ...]) -> jax.Array:
    """The edges, int32[f, 2 e], that feet in the air touch."""
    return jnp.full((len(feet), 2 * plan.edges), -1, jnp.int32)
