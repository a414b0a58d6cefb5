"""Resets and steps of many environments, by `vmap` and as rollouts do them: where is which one faster?

python benchmarks/lanewise_everywhere.py [NAME ...]; writes benchmarks/results/lanewise_everywhere.json, where rows of
other names stay as they are. `--show` prints the table of the results.
"""

import argparse
import functools
import sys
import time
import warnings
from pathlib import Path

import _measure
import jax
import jax.numpy as jnp

import jaxes
from jaxes.envs import Box, Discrete

KEY = jax.random.key(0)
BRAX = ("hopper", "ant", "halfcheetah", "inverted_pendulum")
OTHERS = ("walker2d", "humanoid", "reacher", "pusher", "swimmer", "inverted_double_pendulum", "humanoidstandup")
GYMNAX = (
    *("CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0"),
    *("Asterix-MinAtar", "Breakout-MinAtar", "Freeway-MinAtar", "Seaquest-MinAtar", "SpaceInvaders-MinAtar"),
    *("Catch-bsuite", "DeepSea-bsuite", "MemoryChain-bsuite", "UmbrellaChain-bsuite", "DiscountingChain-bsuite"),
    *("SimpleBandit-bsuite", "FourRooms-misc", "MetaMaze-misc", "PointRobot-misc", "BernoulliBandit-misc"),
    *("GaussianBandit-misc", "Reacher-misc", "Swimmer-misc", "Pong-misc", "FrozenLake-misc"),
)
OWN = ("CyclicMDP", "CyclicMDPEqual", "cartpole_swingup", "tetris")
NAMES = (
    *(f"gymnax/{name}" for name in GYMNAX),
    *(f"jaxes/{name}" for name in OWN),
    "own_environment:sled",
    *(f"brax/{name}" for name in (*BRAX, *OTHERS)),
    *(f"brax/{name}, {backend}" for backend in ("positional", "generalized", "mjx") for name in BRAX),
)


HEAD = f"{'environment':38} lanes  {'steps/s':>11} {'lanewise':>12} {'x':>6} {'reset x':>7} compile x  left to vmap"


def made(name: str):
    """An environment, whose name may say a backend."""
    if ":" in name:
        sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    name, _, backend = name.partition(", ")
    return jaxes.envs.make(name, **({"backend": backend} if backend else {}))


def actions(space, lanes: int):
    if isinstance(space, Box):
        return jax.random.uniform(KEY, (lanes, *space.low.shape), minval=space.low, maxval=space.high)
    if isinstance(space, Discrete):
        return jax.random.randint(KEY, (lanes,), 0, space.n)
    return jax.random.randint(KEY, (lanes, len(space.counts)), 0, jnp.array(space.counts))


def several(step, count: int):
    """Steps of all lanes, one after the other."""
    return lambda state, action: jax.lax.scan(lambda s, _: (step(s, action), None), state, length=count)[0]


def again(reset, count: int):
    """Resets of all lanes, one after the other."""

    def run(keys, state):
        turn = lambda i, s: reset(jax.vmap(jax.random.fold_in, (0, None))(keys, i))
        return jax.lax.fori_loop(0, count, turn, state)

    return run


def measured(name: str, lanes: int, rounds: int) -> dict:
    """Times of steps and resets both ways, and what is left to `vmap`."""
    env = made(name)
    keys, action = jax.random.split(KEY, lanes), actions(env.action, lanes)
    state = jax.jit(jax.vmap(env.reset))(keys)
    count = 8 if name.startswith("brax") else 64
    one = lambda tree: jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree)
    out = {}
    kinds = {
        "step": (env.step, several, (state, action), (state, action)),
        "reset": (env.reset, again, (keys, state), (keys,)),
    }
    for what, (function, repeated, arguments, given) in kinds.items():
        operations = jaxes.lanewise.explain(function, *(one(x) for x in given)).after
        rows, calls = {}, {}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for way, it in {"vmap": function, "lanewise": jaxes.lanewise(function, choosy=True)}.items():
                start = time.perf_counter()
                program = jax.jit(repeated(jax.vmap(it), count)).lower(*arguments).compile()
                rows[way] = {"seconds to trace and compile": time.perf_counter() - start}
                calls[way] = functools.partial(program, *arguments)
        for way, row in _measure.interleaved(calls, rounds).items():
            rows[way] |= {**row, f"{what}s a second": count * lanes / row["median"]}
        messages = [str(w.message) for w in told if "by vmap" in str(w.message)]
        out[what] = {
            **rows,
            "operations": operations,
            "left to vmap": "; ".join(message.partition("is done by vmap, ")[2] for message in messages),
            "times as fast": 1 / rows["lanewise"]["ratio"],
        }
    return out


def shown(figures: dict) -> None:
    for name, by_lanes in figures.items():
        for lanes, row in by_lanes.items():
            if "error" in row:
                print(f"{name:38} {lanes:>5}  {row['error'][:80]}")
                continue
            step, reset = row["step"], row["reset"]
            seconds = [step[way]["seconds to trace and compile"] for way in ("vmap", "lanewise")]
            print(
                f"{name:38} {lanes:>5}  {step['vmap']['steps a second']:11,.0f}"
                f" {step['lanewise']['steps a second']:12,.0f} {step['times as fast']:6.2f}"
                f" {reset['times as fast']:7.2f} {seconds[1] / seconds[0]:9.2f}"
                f"  {step['left to vmap']}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names; all by default")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--show", action="store_true", help="measure nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    try:
        figures = {name: rows for name, rows in _measure.load("lanewise_everywhere").items() if name in NAMES}
    except FileNotFoundError:
        figures = {}
    print(HEAD)
    for name in NAMES if not options.show else ():
        if options.names and not name.startswith(tuple(options.names)):
            continue
        for lanes in (64, 512):
            try:
                row = measured(name, lanes, options.rounds)
            except Exception as error:  # of other libraries, of all kinds
                row = {"error": f"{type(error).__name__}: {error}"}
            figures.setdefault(name, {})[str(lanes)] = row
            shown({name: {lanes: row}})
        _measure.save("lanewise_everywhere", figures)
    if options.show:
        shown(figures)


if __name__ == "__main__":
    main()
