"""Environment steps a second of the host engine beside gymnasium's vector environments and EnvPool.

python benchmarks/host.py; writes benchmarks/results/host.json. Every side plays members with networks of their own
(64-64 tanh, one jitted call a step for all lanes) on as many cores as there are: the engine in one process a core,
SyncVectorEnv in one, AsyncVectorEnv in a process an environment, EnvPool in one thread a core. The engine's time is
that of a generation, drawing the members and adding up their results included, in which each member plays as many
steps as the tasks' episodes have at most; the others' is that of their steps alone, and those that only reset an
environment (gymnasium's and EnvPool's autoreset takes one) do not count. The share of `mj_step` in the engine's time
says how much faster any engine could be that calls it for each step.

EnvPool counts where it is bit for bit gymnasium's, which is measured too; it brings another version of MuJoCo.
"""

import argparse
import functools
import os
import subprocess
import sys
import time
import types
import warnings

import _measure
import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes import rl
from jaxes.rl.host import engine as host
from jaxes.rl.host import here
from jaxes.rl.host.pool import Pool

ENVS = ["HalfCheetah-v5", "Hopper-v5", "Ant-v5", "Humanoid-v5", "InvertedPendulum-v5"]
OTHER = "of the engine"
OVER_SYNC = {"HalfCheetah-v5": 4.0, "Ant-v5": 2.0}
LANES = 64
STEPS = 1000  # of each member: the longest episodes
SECONDS_OF_OTHERS = 2.0  # at least, in every round: about as long as the engine's, so that noise meets both alike
CORES = len(os.sched_getaffinity(0))


class Engine:
    """A generation of the engine: a member for each lane, which plays `STEPS` steps in as many episodes as it takes."""

    def __init__(self, name: str, members: int | None = None, cap: int | None = STEPS, **where):
        env = jaxes.envs.make(f"mujoco/{name}")
        self.members = CORES * LANES if members is None else members
        policy = rl.mlp(env, (64, 64))
        self.problem = rl.rollout(env, policy, max_steps=cap, least_steps=cap or 0, seeds="independent", **where)
        self.strategy = jaxes.open_es(self.members, 0.02)
        self.state = self.strategy.init(jax.random.key(0), jax.jit(policy.init)(jax.random.key(1)))
        self.problem_state = self.problem.init(jax.random.key(2))
        self.pool = host.pool(env, **where)

    def __call__(self) -> tuple[int, float]:
        """Play: the steps, and the seconds they took."""
        ask = jax.tree_util.Partial(self.strategy.ask, self.state)
        key = jax.random.key(3)
        began = time.perf_counter()
        _, sums = self.problem.evaluate(self.problem_state, key, ask, jnp.arange(self.members))
        return int(sums.steps), time.perf_counter() - began


class Vector:
    """`SECONDS_OF_OTHERS` of a vector environment of `LANES` members."""

    def __init__(self, name: str, make):
        env = jaxes.envs.make(f"mujoco/{name}")
        policy = rl.mlp(env, (64, 64))
        params = jax.vmap(policy.init)(jax.random.split(jax.random.key(1), LANES))
        act = jax.jit(lambda observations: jax.vmap(lambda p, x: policy.act(p, (), x)[0])(params, observations))
        self.act, self.envs = act, make(name)

    def __call__(self) -> tuple[int, float]:
        """Play: the steps, and the seconds they took."""
        observations, ended, steps = self.envs.reset()[0], np.zeros(LANES, bool), 0
        began = time.perf_counter()
        while (seconds := time.perf_counter() - began) < SECONDS_OF_OTHERS:
            actions = np.asarray(self.act(observations.astype(np.float32)))
            steps += LANES - int(ended.sum())
            observations, _, over, cut, _ = self.envs.step(actions)
            ended = over | cut
        return steps, seconds

    def close(self):
        self.envs.close()


def sync(name):
    import gymnasium

    return gymnasium.vector.SyncVectorEnv([functools.partial(gymnasium.make, name)] * LANES)


def asynchronous(name):
    import gymnasium

    return gymnasium.vector.AsyncVectorEnv([functools.partial(gymnasium.make, name)] * LANES, context="spawn")


def envpool(name):
    import envpool as package

    return package.make(name, env_type="gymnasium", num_envs=LANES, num_threads=CORES)


def rates(name: str, rounds: int) -> dict:
    """Median and best steps a second of each side, one after the other in every round."""
    sides = {"jaxes": Engine(name)}
    for side, make in (("SyncVectorEnv", sync), ("AsyncVectorEnv", asynchronous), ("EnvPool", envpool)):
        try:
            sides[side] = Vector(name, make)
        except ImportError as error:
            print(f"{side} is left out: {error}")
    found = {side: [] for side in sides}
    acting = []
    for side in sides.values():
        side()  # compiles
    for _ in range(rounds):
        for side, play in sides.items():
            steps, seconds = play()
            found[side].append(steps / seconds)
        acting.append(sides["jaxes"].pool.acting)
    for side in sides.values():
        if isinstance(side, Vector):
            side.close()
    figures = {side: {"median": float(np.median(x)), "best": max(x)} for side, x in found.items()}
    for side in figures:
        paired = np.median(np.array(found["jaxes"]) / np.array(found[side]))
        figures[side]["jaxes / this"] = float(paired)
    difference = apart(name)
    if difference is not None:
        figures["EnvPool"]["largest difference to gymnasium"] = difference
    figures["jaxes"]["mj_step's share of the time"] = simulating(name)
    figures["jaxes"]["policy's share of the time"] = float(np.median(acting))
    return figures


def simulating(name: str) -> float:
    """The share of the engine's time, in a process like those of its workers, that MuJoCo's own `mj_step` takes."""
    environment = {**os.environ, **here.ENVIRONMENT, "XLA_FLAGS": here.XLA_FLAGS}
    command = [sys.executable, __file__, "--share", name]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def share(name: str) -> float:
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    engine = Engine(name, members=LANES, workers=0)
    engine()
    player = engine.pool._local._playing
    lanes, spent = player._lanes, 0.0
    package = lanes._mujoco

    def step(*arguments):
        nonlocal spent
        began = time.perf_counter()
        package.mj_step(*arguments)
        spent += time.perf_counter() - began

    lanes._mujoco = types.SimpleNamespace(**{**vars(package), "mj_step": step})
    engine()
    lanes._mujoco = package
    return spent / player.playing


def apart(name: str) -> float | None:
    """The largest difference of an observation between EnvPool and gymnasium in 100 steps from the same state."""
    try:
        import envpool as package
    except ImportError:
        return None
    still = {"reset_noise_scale": 0.0}
    lanes = jaxes.envs.make(f"mujoco/{name}", **still).lanes(1)
    theirs = package.make(name, env_type="gymnasium", num_envs=1, **still)
    lanes.reset(0, 0)
    seen = [np.abs(lanes.observations - theirs.reset()[0]).max()]
    random = np.random.default_rng(0)
    low, high = (np.asarray(x, np.float32) for x in (theirs.action_space.low, theirs.action_space.high))
    for _ in range(100):
        action = random.uniform(low, high, (1, *low.shape)).astype(np.float32)
        done = lanes.step(np.zeros(1, int), action)[1][0]
        seen.append(np.abs(lanes.observations - theirs.step(action.astype(theirs.action_space.dtype))[0]).max())
        if done:
            break
    return float(max(seen))


def fleet(rounds: int) -> float:
    """Steps a second of a Ray cluster of this machine / those of the local engine, taken in turns."""
    import ray as package

    package.init(num_cpus=CORES, include_dashboard=False, log_to_driver=False)
    here, there = (Engine("HalfCheetah-v5", 2 * CORES * LANES, ray=ray) for ray in (None, "auto"))
    rates = {here: [], there: []}
    for turn in range(rounds + 1):
        for side in rates:
            steps, seconds = side()
            if turn:
                rates[side].append(steps / seconds)
    there.pool.close()
    package.shutdown()
    return float(np.median(np.array(rates[there]) / np.array(rates[here])))


def starting() -> float:
    """Seconds from nothing to workers that have a program loaded."""
    env = jaxes.envs.make("mujoco/HalfCheetah-v5")
    began = time.perf_counter()
    fresh = Pool(env, CORES, LANES)
    policy = rl.mlp(env, (64, 64))
    params = jax.jit(policy.init)(jax.random.key(0))
    program = host.programs.make(env, policy, host._everyone, params, None, jax.random.key(0), LANES, False)
    fresh.load(program)
    seconds = time.perf_counter() - began
    fresh.close()
    return seconds


def idle(rounds: int) -> float:
    """The share of a generation of Hopper in which workers had nothing to do."""
    engine = Engine("Hopper-v5", members=1024, cap=None)
    shares = []
    for _ in range(rounds + 1):
        engine()
        shares.append(engine.pool.idle)
    return float(np.median(shares[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--env", nargs="*", default=ENVS)
    parser.add_argument("--other", action=argparse.BooleanOptionalAction, default=True, help="Ray, start, idle time")
    parser.add_argument("--share", choices=ENVS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.share:
        print(share(args.share))
        return
    figures = {name: row for name, row in _measure.load("host").get("figures", {}).items() if name in (*ENVS, OTHER)}
    figures |= {name: rates(name, args.rounds) for name in args.env}
    if args.other or OTHER not in figures:
        figures[OTHER] = {
            "HalfCheetah-v5: a Ray cluster of this machine / the local engine": fleet(args.rounds),
            "seconds until workers are ready": float(np.median([starting() for _ in range(3)])),
            "Hopper-v5, 1024 members: idle share of the workers": idle(args.rounds),
        }
    bounds = bounded(figures)
    for what, row in bounds.items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:8.3f}  {what}")
    print(_measure.save("host", {"lanes": LANES, "steps": STEPS, "bounds": bounds, "figures": figures}))


def bounded(figures: dict) -> dict:
    """The figures that must reach something."""
    bounds = {}

    def bound(what: str, measured: float, **wanted: float) -> None:
        ((kind, limit),) = wanted.items()
        reached = measured >= limit if kind == "at_least" else measured <= limit
        bounds[what] = {"measured": measured, **wanted, "reached": reached}

    for name, sides in figures.items():
        if name == OTHER:
            continue
        ratio = lambda side, sides=sides: sides[side]["jaxes / this"]
        if name in OVER_SYNC:
            bound(f"{name}: jaxes / SyncVectorEnv", ratio("SyncVectorEnv"), at_least=OVER_SYNC[name])
        bound(f"{name}: jaxes / AsyncVectorEnv", ratio("AsyncVectorEnv"), at_least=2.0)
        if sides.get("EnvPool", {}).get("largest difference to gymnasium") == 0:
            bound(f"{name}: jaxes / EnvPool", ratio("EnvPool"), at_least=1.0)
        bound(f"{name}: policy's share of the time", sides["jaxes"]["policy's share of the time"], at_most=0.1)
    ray, ready, idle = figures[OTHER]
    bound(ray, figures[OTHER][ray], at_least=0.9)
    bound(ready, figures[OTHER][ready], at_most=5.0)
    bound(idle, figures[OTHER][idle], at_most=0.1)
    return bounds


if __name__ == "__main__":
    main()
