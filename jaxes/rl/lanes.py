"""Environments whose resets and steps run as one program for all lanes."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax

from jaxes.envs import contract
from jaxes.envs.protocol import Env
from jaxes.lanewise import lanewise

# Functions that have been made so far, so that a program is made once for a function.
_MADE: OrderedDict[tuple[int, bool], tuple[Callable[..., Any], Callable[..., Any]]] = OrderedDict()
_MOST = 64


def in_lanes(env: Env, how: str) -> Env:
    """The environment, whose `vmap` is one program if that is asked for.

    Args:
        env: one that keeps the contract.
        how: "on", "off", or "auto", which is "on" on CPUs, and says nothing of what is left to `vmap`.
    """
    if env.lanes is not None or how == "off" or (how == "auto" and jax.default_backend() != "cpu"):
        return env
    loud = how == "on"
    return contract.known(env._replace(reset=_made(env.reset, loud), step=_made(env.step, loud)))


def _made(function: Callable[..., Any], loud: bool) -> Callable[..., Any]:
    key = (id(function), loud)
    if key not in _MADE:
        _MADE[key] = (function, lanewise(function, quiet=not loud))
        while len(_MADE) > _MOST:
            _MADE.popitem(last=False)
    return _MADE[key][1]
