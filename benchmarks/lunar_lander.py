"""gymnasium's own heuristic, unchanged, lands the lander in gymnasium and in jaxes.

python benchmarks/lunar_lander.py; writes benchmarks/results/lunar_lander.json in a minute.
"""

import types
from collections.abc import Callable
from typing import Any

import _box2d
import _measure
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.envs.box2d import lunar_lander

import jaxes

EPISODES, LANDED = 100, 200.0
ASKED = 0.95  # of the episodes, in ours
WAYS: dict[str, dict[str, Any]] = {
    "discrete": {},
    "continuous": {"continuous": True},
    "discrete, wind": {"enable_wind": True},
    "continuous, wind": {"continuous": True, "enable_wind": True},
}


def heuristic(continuous: bool) -> Callable[[np.ndarray], np.ndarray]:
    """What it does, from observations, [n, 8]; all that it reads of an environment is the kind of actions."""
    stand_in = types.SimpleNamespace(unwrapped=types.SimpleNamespace(continuous=continuous))
    return lambda seen: np.array([lunar_lander.heuristic(stand_in, of_one) for of_one in seen])


def in_ours(act: Callable[[np.ndarray], np.ndarray], options: dict[str, Any]) -> np.ndarray:
    """Returns of an episode from each of `EPISODES` keys."""
    env = jaxes.envs.make("jaxes/LunarLander", **options)
    step = jax.jit(jax.vmap(jaxes.lanewise(env.step)))
    state = jax.jit(jax.vmap(jaxes.lanewise(env.reset)))(jax.random.split(jax.random.key(0), EPISODES))
    kind = jnp.float32 if options.get("continuous") else jnp.int32
    returns, alive = np.zeros(EPISODES), np.ones(EPISODES, bool)
    for _ in range(env.max_steps):
        state = step(state, jnp.asarray(act(np.asarray(state.observation)), kind))
        returns += np.where(alive, state.reward, 0)
        alive &= ~np.asarray(state.done)
        if not alive.any():
            break
    return returns


def summary(returns: np.ndarray) -> dict[str, float]:
    return {
        "mean": float(returns.mean()),
        "standard_error": float(returns.std(ddof=1) / np.sqrt(len(returns))),
        "landed": float((returns > LANDED).mean()),
        "least": float(returns.min()),
        "median": float(np.median(returns)),
    }


def main() -> None:
    figures: dict[str, Any] = {"machine": _measure.machine(), "episodes": EPISODES}
    bounds = _measure.Bounds()
    for way, options in WAYS.items():
        act = heuristic(options.get("continuous", False))
        ours, theirs = in_ours(act, options), _box2d.played(act, "LunarLander-v3", EPISODES, **options)
        figures[way] = {"jaxes": summary(ours), "gymnasium": summary(theirs)}
        apart = abs(ours.mean() - theirs.mean()) / np.hypot(*(x["standard_error"] for x in figures[way].values()))
        figures[way]["means apart / standard error"] = float(apart)
        if "wind" not in way:
            bounds.at_least(f"lander, {way}: share of landings above 200", figures[way]["jaxes"]["landed"], ASKED)
        for side, row in figures[way].items():
            print(f"{way:18} {side}: {row}", flush=True)
    figures["bounds"] = bounds
    _measure.save("lunar_lander", figures)


if __name__ == "__main__":
    main()
