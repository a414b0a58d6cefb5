"""The environments "jaxes/BipedalWalker" and "jaxes/BipedalWalkerHardcore"."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar
from jaxes.envs.own.bipedal_walker import body, env, evolved, terrains
from jaxes.envs.own.bipedal_walker.genes import Genes
from jaxes.envs.protocol import Env
from jaxes.support import checks

VELOCITY_ITERATIONS, POSITION_ITERATIONS = 180, 60  # gymnasium's


def make(
    hardcore: bool = False,
    genes: Any = None,
    terrain: Any = None,
    velocity_iterations: int = VELOCITY_ITERATIONS,
    position_iterations: int = POSITION_ITERATIONS,
) -> Env:
    """The environment "jaxes/BipedalWalker": a hull on two legs with knees walks to the right.

    Observations, float32[24], actions, float32[4] in [-1, 1] (others are clipped), rewards and limits are those of
    gymnasium's BipedalWalker-v3, and so are the constants of the physics: an episode is solved at 300. Where the
    numbers of the physics are no longer finite, the episode ends with the reward NaN, so that its member ranks last and
    is counted among the invalid ones.

    Args:
        hardcore: stumps, pits and stairs on the ground, and 2000 steps instead of 1600.
        genes: of another ground: `Genes`, a mapping of their names, JSON, or the path of a JSON file; 2000 steps.
        terrain: a ground for all episodes, a `planar.Terrain` or (x, y) of any number of vertices; 2000 steps. The
            closer they are to each other, the longer takes a step. If they are traced, steps must be 14/30 m wide or
            wider, with a wall between two at most.
        velocity_iterations: of the physics, at least 1. With 60 it takes two thirds of the time, and is less like
            Box2D.
        position_iterations: likewise, at most so many.

    Raises:
        ValueError: if more than one kind of ground is asked for, genes are out of their limits, the terrain overlaps
            itself, or the hull would start inside it.
        TypeError: for values of other types.

    >>> import jax, jaxes
    >>> env = jaxes.envs.make("jaxes/BipedalWalker")
    >>> env.observation.shape, env.action.low.shape, env.max_steps
    ((24,), (4,), 1600)
    >>> jaxes.envs.make("jaxes/BipedalWalker", genes={"roughness": 2, "gap": [0, 0.8]}).max_steps
    2000
    """
    if not isinstance(hardcore, bool):
        raise TypeError(f"hardcore must be True or False, got {hardcore!r}")
    checks.integer("velocity_iterations", velocity_iterations)
    checks.integer("position_iterations", position_iterations)
    if hardcore + (genes is not None) + (terrain is not None) > 1:
        given = zip(("hardcore", "genes", "terrain"), (hardcore, genes is not None, terrain is not None))
        named = " and ".join(name for name, there in given if there)
        raise ValueError(f"only one of hardcore, genes and terrain can make the ground, got {named}")
    ground, reach, max_steps = terrains.flat, env.EVEN, 1600
    if hardcore:
        ground, reach, max_steps = terrains.hardcore, env.STEEP, 2000
    elif genes is not None:
        found = Genes.of(genes)
        ground, reach, max_steps = (lambda key: evolved.of_genes(found, key)), env.STEEP, 2000
    elif terrain is not None:
        given = _standable(planar.check(terrain))
        reach = env.STEEP if isinstance(given.x, jax.core.Tracer) else env.Reach.of(np.asarray(given.x))
        ground, max_steps = (lambda key: given), 2000
    name = "jaxes/BipedalWalkerHardcore" if hardcore else "jaxes/BipedalWalker"
    return env.build(name, ground, reach, max_steps, velocity_iterations, position_iterations)[0]


def hardcore(**options: Any) -> Env:
    """The environment "jaxes/BipedalWalkerHardcore": `make` with `hardcore`.

    >>> import jaxes
    >>> jaxes.envs.make("jaxes/BipedalWalkerHardcore").max_steps
    2000
    """
    return make(hardcore=True, **options)


def _standable(terrain: planar.Terrain) -> planar.Terrain:
    """The terrain, if the hull starts above it."""
    x, y = env.START
    if isinstance(terrain.x, jax.core.Tracer) or isinstance(terrain.y, jax.core.Tracer):
        return terrain
    at = np.linspace(x + body.HULL[:, 0].min(), x + body.HULL[:, 0].max(), 33)
    highest = max(float(planar.height(terrain, jnp.float32(place))) for place in at)
    lowest = y + float(body.HULL[:, 1].min())
    if highest > lowest:
        raise ValueError(
            f"terrain must be below the hull at the start, which is at x = {at[0]:.2f} to {at[-1]:.2f} m and y = "
            f"{lowest:.2f} m, got ground {highest:.2f} m high"
        )
    return terrain
