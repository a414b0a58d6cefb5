"""Environments behind one protocol. Importing this costs nothing; a suite is imported when one of its names is made."""

from jaxes.envs.protocol import Box, Discrete, Env, EnvState, action_size, observation_size
from jaxes.envs.registry import SUITES, make, names

__all__ = ["SUITES", "Box", "Discrete", "Env", "EnvState", "action_size", "make", "names", "observation_size"]
