"""Bipedal walkers: steps a second of ours beside gymnasium's Box2D, EnvPool's C++ and the same bodies in jax2d.

python benchmarks/planar.py [PART ...] [--envpool PYTHON] [--jax2d PYTHON]; writes benchmarks/results/planar.json, where
other parts stay as they are. EnvPool and jax2d are asked in interpreters of their own, since they want other packages:

    python -m venv peers/envpool && peers/envpool/bin/pip install envpool
    python -m venv peers/jax2d && peers/jax2d/bin/pip install jax2d chex

Everywhere but in jax2d, whose worlds are physics alone, a lane acts by a 24-40-40-4 tanh policy of its own, drawn from
N(0, 0.1), and lidar and resets are in the time. Our generation draws its members, plays them and tells their returns.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _measure
import jax

import jaxes
from jaxes import rl

KEY = jax.random.key(0)
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
LANES = (64, 256, 512)
FEWER = ((60, 20), (30, 10))  # iterations of the solver's velocities and positions; gymnasium has 180 and 60
HOW_TO = {"envpool": "pip install envpool", "jax2d": "pip install jax2d chex"}
ASKED = {"steps a second": 150_000, "envpool": 3, "jax2d": 100}
# What others are tried with; the best is what counts. jax2d solves contacts in batches, of 16 by default.
JAX2D = [{"lanes": 256}, {"lanes": 256, "batch": 32}, {"lanes": 1024, "batch": 32}]
ENVPOOL = [
    *({"lanes": n, "threads": CORES, "dense": dense} for n in (16, 64, 256, 1024) for dense in (True, False)),
    *({"lanes": n, "batch": n // 2, "threads": CORES, "dense": dense} for n in (64, 256) for dense in (True, False)),
    {"lanes": 256, "batch": 64, "threads": CORES},
    {"lanes": 256, "threads": 2 * CORES},
]


class Peer:
    """Another package's walkers in a process of their own, which plays only while it is asked to."""

    def __init__(self, python: str, side: str, **settings: Any):
        command = [python, str(Path(__file__).with_name("_planar_peers.py")), side, json.dumps(settings)]
        # Products of such sizes gain nothing from threads that wait for each other.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self._answer()

    def ask(self, seconds: float) -> None:
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.process.args)} ended: {self.process.wait()}")
        return json.loads(line)

    def rate(self) -> tuple[float, dict[str, Any]]:
        """What was asked for: steps a second, and the whole answer."""
        answer = self._answer()
        return answer["steps"] / answer["seconds"], answer

    def play(self, seconds: float) -> float:
        """Steps a second."""
        self.ask(seconds)
        return self.rate()[0]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def interleaved(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, float]]:
    """Steps a second of each side, taken in turns: best and median, and the median ratio to the last one's."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            rate = sides[name]()
            if turn:  # the first one warms up
                found[name].append(rate)
    last = found[names[-1]]
    ratio = lambda rates: statistics.median(a / b for a, b in zip(rates, last, strict=True))
    return {
        name: {"best": max(rates), "median": statistics.median(rates), "ratio": ratio(rates)}
        for name, rates in found.items()
    }


def gymnasium(rounds: int, seconds: float) -> dict[str, Any]:
    """Box2D's walker in one process, and in as many as there are cores."""
    peers = [Peer(sys.executable, "gymnasium", seed=i) for i in range(CORES)]

    def together() -> float:
        for peer in peers:
            peer.ask(seconds)
        return sum(peer.rate()[0] for peer in peers)

    rows = interleaved({"one process": lambda: peers[0].play(seconds), f"{CORES} processes": together}, rounds)
    for peer in peers:
        peer.close()
    for name, row in rows.items():
        print(f"{row['median']:12,.0f} a second (best {row['best']:,.0f})  gymnasium, {name}", flush=True)
    return {"about": peers[0].about, "steps a second": rows}


def several(python: str, side: str, every: list[dict[str, Any]], rounds: int, seconds: float) -> dict[str, Any]:
    """One package with several settings, in turns."""
    peers = {json.dumps(settings): Peer(python, side, **settings) for settings in every}
    rows = interleaved({name: functools.partial(peer.play, seconds) for name, peer in peers.items()}, rounds)
    for name, peer in peers.items():
        peer.close()
        rows[name] |= peer.about
        print(f"{rows[name]['median']:12,.0f} a second (best {rows[name]['best']:,.0f})  {side} {name}", flush=True)
    return {"steps a second": rows}


def best(figures: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    """The settings of the fastest of some peers, of those that have some of them."""
    rows = {json.dumps(settings): row for settings, row in _settings(figures) if wanted.items() <= settings.items()}
    return json.loads(max(rows, key=lambda settings: rows[settings]["ratio"]))


def _settings(figures):
    return [(json.loads(name), row) for name, row in figures["steps a second"].items()]


def generation(env: jaxes.envs.Env, lanes: int) -> tuple[Callable[[], float], dict[str, float]]:
    """Steps a second of a whole generation, in which a member on each lane plays 1600 steps or a few more.

    Episodes end after 400 at the latest, so that lanes do not wait long for the last one to end.
    """
    policy = rl.mlp(env, hidden=(40, 40), head="tanh")
    strategy = jaxes.open_es(lanes, 0.1)
    problem = rl.rollout(env, policy, max_steps=400, least_steps=1600)
    params = jax.tree.map(lambda x: 0 * x, policy.init(KEY))
    carry = (strategy.init(KEY, params), problem.init(KEY))
    program, seconds = built(jaxes.generation(strategy, problem), carry)
    state = program(carry)[0][1]
    steps = int(state.steps)
    about = {"build_s": seconds, "steps": steps, "utilization": steps / int(state.lane_steps)}

    def play() -> float:
        began = time.perf_counter()
        jax.block_until_ready(program(carry))
        return steps / (time.perf_counter() - began)

    return play, about | {"mean length": steps / int(state.episodes)}


def scan(env: jaxes.envs.Env, lanes: int, length: int, acting: bool = True) -> tuple[Callable[[], float], dict]:
    """Steps a second of policies and steps alone, or of steps alone; walkers that have fallen are stepped on."""
    policy = rl.mlp(env, hidden=(40, 40), head="tanh")
    params = policy.init(KEY)
    draw = lambda key: jax.tree.map(lambda x: 0.1 * jax.random.normal(key, x.shape), params)
    members = jax.vmap(draw)(jax.random.split(KEY, lanes))
    start = jax.jit(jax.vmap(jaxes.lanewise(env.reset)))(jax.random.split(KEY, lanes))
    one = lambda member, seen: policy.act(member, (), seen)[0]
    act, step = (jax.vmap(jaxes.lanewise(f)) for f in (one, env.step))
    random = jax.random.uniform(KEY, (lanes, 4), minval=-1)

    def turn(members, state, _):
        return step(state, act(members, state.observation) if acting else random), None

    run = lambda members, start: jax.lax.scan(functools.partial(turn, members), start, length=length)[0]
    program, seconds = built(run, members, start)

    def play() -> float:
        began = time.perf_counter()
        jax.block_until_ready(program(members, start))
        return lanes * length / (time.perf_counter() - began)

    return play, {"build_s": seconds}


def built(fn: Callable, *args: Any) -> tuple[Any, float]:
    """A program, and the seconds to trace and compile it."""
    began = time.perf_counter()
    program = jax.jit(fn).lower(*args).compile()
    return program, time.perf_counter() - began


def ours(python: dict[str, str], name: str, figures: dict[str, Any], rounds: int, seconds: float) -> dict[str, Any]:
    """Generations and scans of our walkers, in turns with the fastest settings of the others."""
    env = jaxes.envs.make(name)
    solved = lambda velocity, position: jaxes.envs.make(
        name, velocity_iterations=velocity, position_iterations=position
    )
    made = {f"generation, {lanes} lanes": generation(env, lanes) for lanes in LANES}
    for iterations in FEWER:
        what = "generation by {} and {} iterations, 256 lanes".format(*iterations)
        made[what] = generation(solved(*iterations), 256)
    made["policy and step, 256 lanes"] = scan(env, 256, 200)
    made["step alone, 256 lanes"] = scan(env, 256, 200, acting=False)
    made["step alone by jax2d's 10 iterations, 256 lanes"] = scan(solved(10, 10), 256, 200, acting=False)
    peers = {
        "jax2d": Peer(python["jax2d"], "jax2d", lanes=256),
        "jax2d, fastest": Peer(python["jax2d"], "jax2d", **best(figures["jax2d"])),
        "envpool, dense": Peer(python["envpool"], "envpool", **best(figures["envpool"], dense=True)),
        "envpool": Peer(python["envpool"], "envpool", **best(figures["envpool"])),
    }
    sides = {what: play for what, (play, _) in made.items()}
    sides |= {side: functools.partial(peer.play, seconds) for side, peer in peers.items()}
    rows = interleaved(sides, rounds)
    for peer in peers.values():
        peer.close()
    for what, (_, about) in made.items():
        rows[what] |= about
    for what, row in rows.items():
        row["/ envpool"] = row.pop("ratio")
        row["/ jax2d"] = row["median"] / rows["jax2d"]["median"]
        print(f"{row['median']:12,.0f} a second, {row['/ envpool']:5.2f} x EnvPool  {what}", flush=True)
    return {"environment": name, "steps a second": rows}


def bounds(figures: dict[str, Any]) -> dict[str, Any]:
    """What was asked, of the parts that there are."""
    out = _measure.Bounds()
    if "ours" not in figures:
        return out
    rows = figures["ours"]["steps a second"]
    fastest = max((rows[f"generation, {lanes} lanes"] for lanes in LANES), key=lambda row: row["median"])
    alone = rows["step alone by jax2d's 10 iterations, 256 lanes"]
    out.at_least("walker: steps a second of a generation", fastest["median"], ASKED["steps a second"])
    out.at_least("walker: steps a second of a generation / EnvPool's", fastest["/ envpool"], ASKED["envpool"])
    out.at_least(
        "walker: steps a second of steps alone, as many iterations / jax2d's", alone["/ jax2d"], ASKED["jax2d"]
    )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("gymnasium", "envpool", "jax2d", "ours")
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="all by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of another package's turn")
    parser.add_argument("--env", default="jaxes/BipedalWalker", help="of the part `ours`")
    for side in HOW_TO:
        parser.add_argument(f"--{side}", metavar="PYTHON", help=f"an interpreter with {side}")
    options = parser.parse_args()
    chosen = options.parts or parts
    python = {side: getattr(options, side) for side in HOW_TO}
    for side, how in HOW_TO.items():
        if (side in chosen or "ours" in chosen) and not python[side]:
            parser.error(f"--{side} PYTHON is missing: an interpreter of an environment made by {how}")
    figures = {name: part for name, part in _measure.load("planar").items() if name in parts}
    for part in chosen:
        if part == "gymnasium":
            figures[part] = gymnasium(options.rounds, options.seconds)
        elif part == "ours":
            figures[part] = ours(python, options.env, figures, options.rounds, options.seconds)
        else:
            every = {"envpool": ENVPOOL, "jax2d": JAX2D}[part]
            figures[part] = several(python[part], part, every, options.rounds, options.seconds)
        _measure.save("planar", {"bounds": bounds(figures), **figures})
    for name, row in bounds(figures).items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:10.4g}  {name}")


if __name__ == "__main__":
    main()
