"""The environments that jaxes itself brings: jaxes/NAME."""

import importlib
from typing import Any, NamedTuple

from jaxes.envs.own.precision import single
from jaxes.envs.protocol import Discrete, Env
from jaxes.support import checks


class Row(NamedTuple):
    """An environment, and what `jaxes.envs.listing` tells of it."""

    factory: str  # MODULE:FUNCTION
    observation: int
    action: int | Discrete
    max_steps: int


OWN = {
    "BipedalWalker": Row("jaxes.envs.own.bipedal_walker:make", 24, 4, 1600),
    "BipedalWalkerHardcore": Row("jaxes.envs.own.bipedal_walker:hardcore", 24, 4, 2000),
    "CyclicMDP": Row("jaxes.envs.own.cyclic_mdp:cyclic_mdp", 3, Discrete(3), 1000),
    "CyclicMDPEqual": Row("jaxes.envs.own.cyclic_mdp:cyclic_mdp_equal", 3, Discrete(3), 1000),
    "LunarLander": Row("jaxes.envs.own.lunar_lander.env:make", 8, Discrete(4), 1000),
    "LunarLanderContinuous": Row("jaxes.envs.own.lunar_lander.env:make_continuous", 8, 2, 1000),
    "cartpole_swingup": Row("jaxes.envs.own.cartpole_swingup:make", 5, 1, 1000),
    "tetris": Row("jaxes.envs.tetris:make", 34 * 22 + 34, Discrete(34), 100_000),
}
MAX_STEPS = {name: row.max_steps for name, row in OWN.items()}
SIZES = {name: (row.observation, row.action) for name, row in OWN.items()}


def make(name: str, **options: Any) -> Env:
    """The environment `name` of `OWN`; `options` are those of its factory.

    Raises:
        ValueError: if there is no such name.
        TypeError: for an option that the factory does not have.
    """
    module, function = OWN[checks.choice("environment of jaxes", name, OWN)].factory.split(":")
    try:
        env = getattr(importlib.import_module(module), function)(**options)
    except TypeError as error:
        raise TypeError(f"options must be those of jaxes/{name}, got {', '.join(options)}: {error}") from None
    return env._replace(reset=single(env.reset), step=single(env.step))
