"""The settings of `jaxes.rl.rollout`: what may be given, and what is made of it."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Env
from jaxes.rl import normalizer as norm
from jaxes.rl.cap import Cap
from jaxes.rl.cap import cap as read_cap
from jaxes.rl.reward import Pay
from jaxes.rl.reward import pay as read_pay
from jaxes.schedules import Number, start
from jaxes.support import checks

SEEDS = ("pair", "generation", "independent")
MODES = ("auto", "refill", "while", "scan")
LANEWISE = ("auto", "on", "fast", "off")

# Lanes by default where episodes wait: on a CPU the parameters of so many members and their states stay in the caches,
# and few lanes wait for the longest episode. More lanes are slower where most episodes are short or policies larger, up
# to twice; about as fast on Brax later in training; up to twice as fast where policy and step cost next to nothing
# (benchmarks/lanewise.py, "lanes"). An accelerator takes about as long for a thousand lanes as for ten.
LANES = {"cpu": 64}
LANES_OF_ACCELERATORS = 8192


class Settings(NamedTuple):
    """What a rollout goes by."""

    episodes: int  # of a member
    least_steps: int  # of each of these
    most: int  # the time limit that no cap goes beyond
    cap: Cap  # the first time limit
    check_every: int
    pay: Pay
    shift: jax.Array  # float32[]: the first one
    preset: str | None  # of the normalizer; None without one

    @property
    def watch(self) -> float:
        """The share of the episodes that the normalizer learns from."""
        return 1.0 if self.preset is None else norm.PRESETS[self.preset].share


def read(
    env: Env,
    *,
    episodes: int,
    least_steps: int,
    max_steps: int | None,
    cap: str | int | None,
    clip_reward: Any,
    shift: Number,
    alive_bonus: Any,
    normalize: bool | str,
    seeds: str,
    mode: str,
    lanes: int | None,
    check_every: int,
    lanewise: str,
    workers: int | None,
    ray: str | None,
) -> Settings:
    """Check the arguments of `jaxes.rl.rollout` for an environment, and read them.

    Raises:
        ValueError: for settings that make no sense; the message names the argument, what was given and what is wanted.
    """
    for name, value in (("workers", workers), ("ray", ray)):
        if env.lanes is None and value is not None:
            raise ValueError(f"{name} is for environments that run on CPUs, and {env.name} runs in compiled programs")
    if env.lanes is not None and mode in ("while", "scan"):
        raise ValueError(f"mode must be auto or refill for {env.name}, which runs on CPUs; got {mode!r}")
    checks.count("episodes", episodes)
    checks.count("check_every", check_every)
    for name, value in (("max_steps", max_steps), ("lanes", lanes)):
        if value is not None:
            checks.count(name, value)
    checks.integer("least_steps", least_steps, 0)
    checks.one_of("seeds", seeds, SEEDS)
    checks.one_of("mode", mode, MODES)
    checks.one_of("lanewise", lanewise, LANEWISE)
    if mode in ("while", "scan") and (lanes is not None or least_steps):
        raise ValueError(f"lanes and least_steps need mode 'refill' or 'auto', got mode {mode!r}")
    preset = _preset(normalize)
    pay = read_pay(clip_reward, alive_bonus)
    most = env.max_steps if max_steps is None else max_steps
    return Settings(
        episodes=episodes,
        least_steps=-(-least_steps // episodes),
        most=most,
        cap=read_cap(cap, most),
        check_every=min(check_every, most),
        pay=pay,
        shift=start("shift", None, shift, jnp.float32, low=-math.inf),
        preset=preset,
    )


def lanes_for(episodes: int, mode: str, lanes: int | None) -> int | None:
    """How many lanes play `episodes` episodes; None for one each.

    Raises:
        ValueError: for more `lanes` than episodes.
    """
    if mode in ("while", "scan"):
        return None
    if lanes is None:
        lanes = min(LANES.get(jax.default_backend(), LANES_OF_ACCELERATORS), episodes)
    if lanes > episodes:
        raise ValueError(f"lanes must be at most the episodes to play, {episodes} in a block of members; got {lanes}")
    return lanes


def _preset(normalize: bool | str) -> str | None:
    name = normalize if isinstance(normalize, str) else "on" if normalize else "off"
    if name not in (*norm.PRESETS, "off"):
        raise ValueError(
            f"normalize must be one of {', '.join((*norm.PRESETS, 'off'))}, True or False; got {normalize!r}"
        )
    return None if name == "off" else name
