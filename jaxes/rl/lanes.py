"""Environments whose resets and steps run as one program for all lanes."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from jaxes.envs import contract
from jaxes.envs.protocol import Env
from jaxes.lanewise import lanewise, platform, unavailable
from jaxes.rl.policies.policy import Policy

# Functions that have been made so far, so that a program is made once for a function.
_MADE: OrderedDict[tuple[int, str], tuple[Callable[..., Any], Callable[..., Any]]] = OrderedDict()
_MOST = 64


def in_lanes(env: Env, how: str) -> Env:
    """The environment, whose `vmap` is one program if that is asked for.

    Args:
        env: one that keeps the contract.
        how: "on"; "fast", which also approximates sines, roots and divisions on NVIDIA cards; "off"; or "auto", which
            is "on" where kernels can be made and are likely to be faster, and says nothing of what is left to `vmap`.
    """
    if env.lanes is not None or how == "off" or (how == "auto" and unavailable(platform()) is not None):
        return env
    return contract.known(env._replace(reset=_made(env.reset, how), step=_made(env.step, how)))


def acting(policy: Policy, how: str) -> Callable[..., Any]:
    """What a policy does on lanes that have a member of their own each: one program on CPUs, if that is asked for.

    Where something in a policy has no rule, all of it is left to `vmap`.
    """
    if how == "off" or platform() != "cpu":
        return policy.act
    return lanewise(policy.act, whole=True, quiet=True)


def _made(function: Callable[..., Any], how: str) -> Callable[..., Any]:
    key = (id(function), how)
    if key not in _MADE:
        auto = how == "auto"
        _MADE[key] = (function, lanewise(function, quiet=auto, choosy=auto, fast=how == "fast"))
        while len(_MADE) > _MOST:
            _MADE.popitem(last=False)
    return _MADE[key][1]
