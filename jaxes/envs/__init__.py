"""Environments behind one protocol. Importing this costs nothing; a suite is imported when `make` needs it."""

from jaxes.envs.protocol import Box, Discrete, Env, EnvState, action_size, observation_size
from jaxes.envs.registry import SUITES, Listed, check, listing, make, names
from jaxes.envs.repeat import repeated

__all__ = [
    "make",
    "check",
    "names",
    "listing",
    "Listed",
    "SUITES",
    "repeated",
    "Env",
    "EnvState",
    "Box",
    "Discrete",
    "observation_size",
    "action_size",
]
