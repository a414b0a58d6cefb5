"""Environments behind one protocol. Importing this costs nothing; a suite is imported when `make` needs it.

`make("brax/ant")` makes one by its name, and `names()` has all names. One of your own is an `Env` of two
functions, whose docstring has an example; `check` tells what is wrong with it, `register` gives it a name.
"""

from jaxes.envs.contract import check
from jaxes.envs.protocol import Box, Discrete, Env, EnvState, MultiDiscrete, action_size, observation_size
from jaxes.envs.registry import SUITES, Listed, check_name, listing, make, names, register
from jaxes.envs.repeat import repeated

__all__ = [
    "make",
    "check",
    "check_name",
    "names",
    "register",
    "listing",
    "Listed",
    "SUITES",
    "repeated",
    "Env",
    "EnvState",
    "Box",
    "Discrete",
    "MultiDiscrete",
    "observation_size",
    "action_size",
]
