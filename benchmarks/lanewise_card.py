"""One program a lane on an NVIDIA card: environments alone and whole generations, by `vmap` and as one kernel.

python benchmarks/lanewise_card.py [PART ...] [--out FOLDER]; writes lanewise_card.json, where other parts stay as
they are.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import _kernels
import _measure
import jax
import jax.numpy as jnp
import numpy as np
from lanewise import moment, steps

import jaxes
from jaxes import noise, rl
from jaxes.lanewise import card

KEY = jax.random.key(0)
HOWS = {"vmap": "off", "kernel": "on", "fast": "fast"}
LANES = {"hopper": (1024, 8192, 65536, 262144), "ant": (1024, 8192, 65536), "humanoid": (1024, 8192, 65536)}
# Milliseconds of a step of a bare kernel, which takes 0 * x for 0 and was launched without JAX: plain, and with fast
# mathematics (H100).
BARE = {
    "hopper, 1024 lanes": (0.042, 0.021),
    "hopper, 8192 lanes": (0.044, 0.022),
    "hopper, 262144 lanes": (0.410, 0.230),
    "ant, 1024 lanes": (0.281, 0.106),
    "ant, 8192 lanes": (0.327, 0.123),
    "ant, 65536 lanes": (1.257, 0.706),
    "humanoid, 1024 lanes": (0.391, 0.216),
    "humanoid, 8192 lanes": (0.490, 0.300),
    "humanoid, 65536 lanes": (2.499, 1.626),
}


def ways(step):
    return {
        "vmap": step,
        "kernel": jaxes.lanewise(step),
        "fast": jaxes.lanewise(step, fast=True),
        "finite": jaxes.lanewise(step, finite=True),
        "fast and finite": jaxes.lanewise(step, finite=True, fast=True),
    }


def alone(name: str, lanes: int, rounds: int, hows, count: int = 32) -> dict:
    """An environment's steps in a scan, milliseconds a step."""
    env = jaxes.envs.make(f"brax/{name}")
    state, action = moment(env._replace(step=jaxes.lanewise(env.step)), min(lanes, 1024))
    state, action = jax.tree.map(lambda x: jnp.concatenate([x] * max(1, lanes // 1024)), (state, action))
    rows, calls = {}, {}
    for what in hows:
        step = ways(env.step)[what]
        start = time.perf_counter()
        program = jax.jit(steps(jax.vmap(step), count)).lower(state, action).compile()
        rows[what] = {"seconds to trace and compile": time.perf_counter() - start}
        calls[what] = functools.partial(program, state, action)
    for what, row in _measure.interleaved(calls, rounds).items():
        rows[what] |= {
            **row,
            "milliseconds a step": row["min"] / count * 1e3,
            "steps a second": count * lanes / row["min"],
        }
    return rows


def blocks(name: str, lanes: int, rounds: int, count: int = 32) -> dict:
    """Threads in a block."""
    env = jaxes.envs.make(f"brax/{name}")
    state, action = moment(env._replace(step=jaxes.lanewise(env.step)), min(lanes, 1024))
    state, action = jax.tree.map(lambda x: jnp.concatenate([x] * max(1, lanes // 1024)), (state, action))
    calls, was = {}, card.BLOCK
    for size in (32, 64, 128):
        card.BLOCK = size
        program = jax.jit(steps(jax.vmap(jaxes.lanewise(env.step)), count)).lower(state, action).compile()
        calls[str(size)] = functools.partial(program, state, action)
    card.BLOCK = was
    return {
        n: row | {"milliseconds a step": row["min"] / count * 1e3}
        for n, row in _measure.interleaved(calls, rounds).items()
    }


def difference(name: str, states: int = 100, turns: int = 10) -> dict:
    """The largest difference from `vmap` in some steps, beside the size of the leaf."""
    env = jaxes.envs.make(f"brax/{name}")
    state, action = moment(env, states)
    programs = {what: jax.jit(jax.vmap(step)) for what, step in ways(env.step).items()}
    worst = dict.fromkeys(programs, 0.0)
    for _ in range(turns):
        want = programs["vmap"](state, action)
        for what in ("kernel", "fast"):
            for w, g in zip(jax.tree.leaves(want), jax.tree.leaves(programs[what](state, action))):
                if w.dtype.kind == "f" and w.size:
                    worst[what] = max(worst[what], float(jnp.abs(w - g).max() / jnp.maximum(1, jnp.abs(w).max())))
        state = want
    return worst


def returns(name: str, members: int = 512, max_steps: int = 200) -> dict:
    """Mean returns of random policies."""
    env = jaxes.envs.make(f"brax/{name}")
    policy = rl.mlp(env, hidden=(32, 32))
    population = jax.vmap(policy.init)(jax.random.split(jax.random.key(3), members))
    out = {}
    for what, how in HOWS.items():
        problem = rl.rollout(env, policy, max_steps=max_steps, lanewise=how)
        ask = lambda ids=None: population if ids is None else jax.tree.map(lambda x: x[ids], population)
        evaluate = functools.partial(problem.evaluate, key=jax.random.key(4), ask=ask, ids=jnp.arange(members))
        out[what] = np.asarray(jax.jit(evaluate)(problem.init(KEY))[0])
    error = float(out["vmap"].std() / members**0.5)
    apart = {
        f"{what}: difference / standard error": float(abs(out[what].mean() - out["vmap"].mean())) / error
        for what in out
    }
    return {what: float(x.mean()) for what, x in out.items()} | {"standard error": error} | apart


def generation(
    name: str, hidden, members: int, max_steps: int, rounds: int, low_rank: bool, hows=tuple(HOWS), profile=False
) -> dict:
    """Whole generations, a lane a member; the normalizer is on."""
    env = jaxes.envs.make(f"brax/{name}", terminate_when_unhealthy=False)
    policy = rl.mlp(env, hidden=hidden)
    strategy = jaxes.open_es(members, 0.02, noise=noise.low_rank() if low_rank else noise.gaussian())
    calls, rows = {}, {}
    for what in hows:
        problem = rl.rollout(env, policy, max_steps=max_steps, lanewise=HOWS[what], lanes=members)
        carry = (strategy.init(KEY, policy.init(KEY)), problem.init(KEY))
        start = time.perf_counter()
        program = jax.jit(jaxes.generation(strategy, problem)).lower(carry).compile()
        rows[what] = {"seconds to trace and compile": time.perf_counter() - start}
        calls[what] = functools.partial(program, carry)
        if profile:
            _kernels.show(_kernels.profile(calls[what]))
    for what, row in _measure.interleaved(calls, rounds, warm_up=1).items():
        rows[what] |= {
            **row,
            "milliseconds a step": row["min"] / max_steps * 1e3,
            "steps a second": members * max_steps / row["min"],
        }
    return rows


GENERATIONS = {
    "ant, 32 x 4, 8192 lanes": ("ant", (32,) * 4, 8192, False),
    "ant, 32 x 4, 65536 lanes": ("ant", (32,) * 4, 65536, False),
    "humanoid, 256-256 low rank, 2048 lanes": ("humanoid", (256, 256), 2048, True),
    "humanoid, 256-256 low rank, 8192 lanes": ("humanoid", (256, 256), 8192, True),
    "humanoid, 256-256 low rank, 65536 lanes": ("humanoid", (256, 256), 65536, True),
    "hopper, 32-32, 65536 lanes": ("hopper", (32, 32), 65536, False),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("alone", "blocks", "differences", "returns", "generations")
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="all by default")
    parser.add_argument("--only", default="", help="names with this in them")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100, help="of a generation")
    parser.add_argument("--profile", action="store_true", help="show the kernels of generations")
    parser.add_argument("--hows", nargs="*", default=tuple(HOWS))
    parser.add_argument("--out", type=Path, default=_measure.RESULTS)
    options = parser.parse_args()
    if jax.default_backend() == "cpu":
        parser.error("this wants an NVIDIA card, and JAX found none")
    held = _measure.RESULTS / "lanewise_card.json"
    figures = json.loads(held.read_text()) if held.exists() else {}
    shown = lambda rows: {k: round(v["milliseconds a step"], 4) for k, v in rows.items()}
    asked = lambda name: options.only in name

    def keep(part, name, row):
        figures.setdefault(part, {})[name] = row
        text = json.dumps({"bounds": bounds(figures), **figures, "machine": _measure.machine()}, indent=1)
        (options.out / held.name).write_text(text)

    for part in options.parts or parts:
        print(part, flush=True)
        if part in ("alone", "blocks"):
            for name, lanes in ((n, k) for n, many in LANES.items() for k in many):
                if asked(f"{name}, {lanes} lanes"):
                    rows = (
                        alone(name, lanes, options.rounds, options.hows)
                        if part == "alone"
                        else blocks(name, lanes, options.rounds)
                    )
                    print(
                        name,
                        lanes,
                        shown(rows),
                        {k: round(v.get("seconds to trace and compile", 0), 1) for k, v in rows.items()},
                        flush=True,
                    )
                    keep(part, f"{name}, {lanes} lanes", rows)
        elif part == "differences":
            for name in filter(asked, LANES):
                keep(part, name, difference(name))
                print(name, figures[part][name], flush=True)
        elif part == "returns":
            for name in filter(asked, LANES):
                keep(part, name, returns(name))
                print(name, figures[part][name], flush=True)
        else:
            for name, (env, hidden, members, low_rank) in GENERATIONS.items():
                if asked(name):
                    rows = generation(
                        env, hidden, members, options.steps, options.rounds, low_rank, options.hows, options.profile
                    )
                    print(
                        name,
                        {
                            k: (
                                round(v["milliseconds a step"], 4),
                                f"{v['steps a second'] / 1e6:.2f}M",
                                round(v["seconds to trace and compile"], 1),
                            )
                            for k, v in rows.items()
                        },
                        flush=True,
                    )
                    keep(part, name, rows)
    for name, row in bounds(figures).items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:10.4g}  {name}")


def bounds(figures: dict) -> dict:
    """What was asked, of the parts that there are."""
    out = _measure.Bounds()
    for name, rows in figures.get("alone", {}).items():
        if name in BARE:
            for what, bare in zip(("kernel", "fast"), BARE[name], strict=True):
                out.at_most(f"{name}: a step, {what} / a bare kernel's", rows[what]["milliseconds a step"] / bare, 1.2)
    asked = {"ant, 32 x 4, 8192": 15e6, "humanoid, 256-256 low rank, 8192": 8e6, "hopper, 32-32, 65536": 150e6}
    for name, rows in figures.get("generations", {}).items():
        for start, least in asked.items():
            if name.startswith(start):
                out.at_least(f"generation, {name}: steps a second", rows["kernel"]["steps a second"], least)
    for name, row in figures.get("returns", {}).items():
        for what in ("kernel", "fast"):
            apart = row[f"{what}: difference / standard error"]
            out.at_most(f"{name}: mean returns of 512 policies apart, {what} / standard error", apart, 1)
    return out


if __name__ == "__main__":
    main()
