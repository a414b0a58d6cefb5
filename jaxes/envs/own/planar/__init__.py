"""Physics in the plane: rigid bodies, joints with motors and limits, and ground with walls.

A world is a tree of arrays (`World`) and a structure that is known while tracing (`Plan`); `step` moves it on. All is
written for one world, in numbers and small arrays, so that `jax.vmap` makes many of it and `jaxes.lanewise` makes them
fast. `LunarLander` and `BipedalWalker` stand on it.
"""

from jaxes.envs.own.planar.ground import Ground, height, near, whole
from jaxes.envs.own.planar.lidar import fractions
from jaxes.envs.own.planar.shapes import Mass, box, mass
from jaxes.envs.own.planar.solver import step
from jaxes.envs.own.planar.terrain import Terrain, check
from jaxes.envs.own.planar.world import (
    Bodies,
    Impulses,
    Joints,
    Met,
    Motors,
    Plan,
    State,
    World,
    at_rest,
    world,
)

__all__ = [
    "Bodies",
    "Ground",
    "Impulses",
    "Joints",
    "Mass",
    "Met",
    "Motors",
    "Plan",
    "State",
    "Terrain",
    "World",
    "at_rest",
    "box",
    "check",
    "fractions",
    "height",
    "mass",
    "near",
    "step",
    "whole",
    "world",
]
