"""Any number of devices and processes: the same bits, what that costs, what is sent, and how far it would scale.

python benchmarks/scaling.py [--part bits|cost|traffic|model|accelerators ...] [--quick]; writes
benchmarks/results/scaling.json after every part, and a plot.

bits: sha256 of parameters, normalizer and the fitness of 40 generations of a Brax rollout, in strict mode, on 1, 2, 4
and 8 virtual devices, under pmap, on 2 processes of 2 devices each, and with a checkpoint of 4 devices continued on 2.
cost: strict mode beside the default, and blocks beside none, interleaved. traffic: bytes that a compiled generation
sends. model: communication and efficiency from 1 to 4096 devices, from times measured here and stated networks, and two
processes measured beside what the model says of them. accelerators: strong and weak scaling, where there are several.
"""

import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import _measure
import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes import noise, parallel, rl
from jaxes.problem import generation_with_fitness

ENVS = ("brax/hopper", "brax/ant")
NOISES = {"gaussian": noise.gaussian, "low_rank": noise.low_rank}
GENERATIONS, BLOCKS, MEMBERS, STEPS = 40, 8, 32, 60
PARTS = ("bits", "cost", "traffic", "model", "accelerators")

# Stated figures of networks: seconds of latency, bytes a second of one device.
NETWORKS = {
    "NVLink (450 GB/s, 5 us)": (5e-6, 450e9),
    "InfiniBand (50 GB/s, 10 us)": (10e-6, 50e9),
    "Ethernet (1.25 GB/s, 50 us)": (50e-6, 1.25e9),
}


def setting(env_name: str, kind: str, members: int = MEMBERS, blocks: int = BLOCKS, lanes: int = 4, steps: int = STEPS):
    """(strategy, problem, first carry)"""
    env = jaxes.envs.make(env_name)
    policy = rl.mlp(env, (32, 32))
    strategy = jaxes.open_es(members, 0.05, learning_rate=0.02, noise=NOISES[kind](), blocks=blocks)
    problem = rl.rollout(env, policy, max_steps=steps, lanes=lanes)
    params = jax.jit(policy.init)(jax.random.key(0))
    return strategy, problem, (strategy.init(jax.random.key(1), params), problem.init(jax.random.key(2)))


def several(strategy, problem):
    """`(carry, digest of fitness so far, n) -> the same after n generations`: one program for every n."""
    step = generation_with_fitness(strategy, problem)

    def run(carry, told, n):
        def body(i, both):
            carry, told = both
            carry, (_, fitness) = step(carry)
            return carry, told.at[carry[0].step - 1].set(fitness)

        return jax.lax.fori_loop(0, n, body, (carry, told))

    return run


def digest(carry, told) -> str:
    leaves = jax.tree.leaves(parallel.local((carry[0].mean, carry[1].normalizer, told)))
    return hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in leaves)).hexdigest()[:16]


# ------------------------------------------------------------------ bits


def bits(quick: bool) -> dict[str, Any]:
    rows = {}
    for env in ENVS[:1] if quick else ENVS:
        for kind in NOISES:
            (one,) = children("bits-devices", env, kind, quick)
            both = children("bits-processes", env, kind, quick, processes=2)
            rows[f"{env}, {kind}"] = one | {f"process {i} of 2, 2 devices each": row for i, row in enumerate(both)}
            shas = set(rows[f"{env}, {kind}"].values())
            print(f"{env:12s} {kind:9s} {len(shas)} different of {len(rows[f'{env}, {kind}'])}: {', '.join(shas)}")
    return rows


def bits_of_devices(env: str, kind: str, quick: bool) -> dict[str, str]:
    """Digests by the way the generations were computed."""
    generations = 4 if quick else GENERATIONS
    strategy, problem, carry = setting(env, kind)
    told, rows = jnp.zeros((generations, MEMBERS)), {}
    run = several(strategy, problem)
    half, whole = np.int32(generations // 2), np.int32(generations)
    programs = {}
    for devices in (1, 2, 4, 8):
        programs[devices] = jax.jit(parallel.spread(run, parallel.mesh(devices)))
        rows[f"{devices} devices"] = digest(*programs[devices](carry, told, whole))
    saved = jax.device_get(jax.tree.map(_plain, programs[4](carry, told, half)))  # as a checkpoint keeps it
    begun = jax.tree.map(_restored, saved, (carry, told))
    rows["4 devices, continued on 2"] = digest(*programs[2](*begun, np.int32(generations - half)))
    on_each = jax.pmap(
        lambda carry, told, _: run(carry, told, whole),
        axis_name=parallel.AXIS,
        in_axes=(None, None, 0),
        devices=jax.devices()[:4],
    )
    rows["pmap, 4 devices"] = digest(*jax.tree.map(lambda x: x[0], on_each(carry, told, np.arange(4))))
    rows["jit"] = digest(*jax.jit(run)(carry, told, whole))
    return rows


def bits_of_processes(env: str, kind: str, quick: bool, processes: parallel.Processes) -> str:
    generations = 4 if quick else GENERATIONS
    strategy, problem, carry = setting(env, kind)
    mesh = parallel.mesh()
    carry, told = parallel.replicated((carry, jnp.zeros((generations, MEMBERS))), mesh)
    run = jax.jit(parallel.spread(several(strategy, problem), mesh)).lower(carry, told, np.int32(1)).compile()
    processes.meet()
    return digest(*run(carry, told, np.int32(generations)))


def _plain(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


def _restored(x, like):
    return jax.random.wrap_key_data(x) if jnp.issubdtype(like.dtype, jax.dtypes.prng_key) else jnp.asarray(x)


# ------------------------------------------------------------------ cost


def cost(rounds: int, quick: bool) -> dict[str, Any]:
    rows = {}
    for env in ENVS[:1] if quick else ENVS:
        sides = {name: Server(env, strict=name == "strict") for name in ("default", "strict")}
        times: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(rounds):
            for name in list(sides) if turn % 2 else list(sides)[::-1]:
                times[name].append(sides[name].time())
        for side in sides.values():
            side.close()
        ratio = float(np.median(np.array(times["strict"]) / np.array(times["default"])))
        rows[f"{env}: time of strict mode / default"] = ratio
    rows["brax/halfcheetah, 512 members on 64 lanes: time of 2 blocks / 1"] = cost_of_blocks(rounds, quick)
    return rows


class Server:
    """A process with its own compiler switches that times a generation whenever asked."""

    def __init__(self, env: str, strict: bool):
        command = [sys.executable, "-W", "ignore", __file__, "--child", "cost", "--env", env]
        self._process = subprocess.Popen(
            command, env=environment(strict), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.time()  # compiles

    def time(self) -> float:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def serve(env: str) -> None:
    strategy, problem, carry = setting(env, "gaussian", members=64, blocks=1, lanes=64, steps=100)
    run = jax.jit(jaxes.generation(strategy, problem))
    for _ in sys.stdin:
        began = time.perf_counter()
        jax.block_until_ready(run(carry))
        print(time.perf_counter() - began, flush=True)


def cost_of_blocks(rounds: int, quick: bool) -> float:
    """Of blocks that fill the lanes some times; a block as small as the lanes has no member that waits for a lane."""
    members, lanes, steps = (64, 16, 8) if quick else (512, 64, 64)
    calls = {}
    for blocks in (1, 2):
        strategy, problem, carry = setting("brax/halfcheetah", "gaussian", members, blocks, lanes, steps)
        run = jax.jit(jaxes.generation(strategy, problem))
        calls[str(blocks)] = lambda run=run, carry=carry: run(carry)
    return _measure.interleaved(calls, rounds)["2"]["ratio"]


# ------------------------------------------------------------------ traffic


def traffic(quick: bool) -> dict[str, Any]:
    (rows,) = children("traffic", "brax/ant", "gaussian", quick)
    return rows


def traffic_here(env: str) -> dict[str, Any]:
    """Bytes that each device has been sent after a generation, by what is sent, for two sizes of the model."""
    rows = {}
    environment = jaxes.envs.make(env)
    for hidden in ((8,), (64, 64)):
        policy = rl.mlp(environment, hidden)
        for comm in ("scalars", "blocks", "psum"):
            strategy = jaxes.open_es(MEMBERS, 0.05, blocks=BLOCKS)
            problem = rl.rollout(environment, policy, max_steps=STEPS, lanes=4)
            params = jax.eval_shape(policy.init, jax.random.key(0))
            size = sum(x.size for x in jax.tree.leaves(params))
            params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), params)
            carry = strategy.init(jax.random.key(1), params), problem.init(jax.random.key(2))
            step = parallel.spread(jaxes.generation(strategy, problem, comm), parallel.mesh(2))
            sent = parallel.traffic(jax.jit(step).lower(carry).compile())
            of_sums = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(sums_of(strategy, problem, carry)))
            rows[f"{comm}, {size} parameters"] = {
                "bytes": sum(x.bytes for x in sent),
                "bytes of the problem's sums": of_sums * (1 if comm == "psum" else BLOCKS),
                "members": MEMBERS,
            }
    return rows


def sums_of(strategy, problem, carry) -> Any:
    """The shapes of the problem's sums."""
    key, ids = jax.random.key(0), jnp.arange(MEMBERS)
    evaluate = lambda carry: problem.evaluate(carry[1], key, lambda some=ids: strategy.ask(carry[0], some), ids)
    return jax.eval_shape(evaluate, carry)[1]


# ------------------------------------------------------------------ model


def model(rounds: int, quick: bool) -> dict[str, Any]:
    """From the time of one member's episode, of its noise, and of the update, on one device."""
    members, size = 64, 100_000
    strategy, problem, carry = setting("brax/hopper", "gaussian", members, 1, lanes=64, steps=100)
    ids = jnp.arange(members)
    evaluate = jax.jit(
        lambda carry: problem.evaluate(carry[1], jax.random.key(0), lambda i=ids: strategy.ask(carry[0], i), ids)
    )
    params = {"w": jnp.zeros(size)}
    large = jaxes.open_es(members, 0.05)
    state = large.init(jax.random.key(0), params)
    learn = jax.jit(large.tell)
    fitness = jax.random.normal(jax.random.key(1), (members,))
    step = jax.jit(lambda state: jaxes.open_es(2, 0.05).tell(state, jnp.arange(2.0)))
    times = _measure.interleaved(
        {"evaluate": lambda: evaluate(carry), "learn": lambda: learn(state, fitness), "step": lambda: step(state)},
        rounds,
    )
    per_member = times["evaluate"]["median"] / members
    fixed = times["step"]["median"]
    per_noise = max(times["learn"]["median"] - fixed, 0) / members
    measured = {"episode_s": per_member, "noise_of_a_member_s": per_noise, "update_s": fixed, "parameters": size}
    counts = [2**i for i in range(13)]
    rows = {}
    for network, (latency, bandwidth) in NETWORKS.items():
        for comm in ("scalars", "blocks", "psum"):
            spent = [generation_time(d, 8192, comm, measured, latency, bandwidth) for d in counts]
            rows[f"{comm}, {network}"] = {
                "sent_bytes": [sent_bytes(d, 8192, comm, size) for d in counts],
                "efficiency": [spent[0] / (d * t) for d, t in zip(counts, spent, strict=True)],
            }
    two = children("model-processes", "brax/hopper", "gaussian", quick, processes=2, devices=1)
    one = children("model-processes", "brax/hopper", "gaussian", quick, processes=1, devices=1)
    alone, together, wait = one[0]["generation_s"], two[0]["generation_s"], two[0]["collective_s"]
    beside = {
        "generation of one process, s": alone,
        "of two, s": together,
        "a collective of two processes, s": wait,
        "efficiency measured": alone / (2 * together),
        "efficiency predicted": alone / (alone + 2 * wait * two[0]["collectives"]),
    }
    return {"devices": counts, "members": 8192, "measured": measured, "predicted": rows, "two processes": beside}


def sent_bytes(devices: int, members: int, comm: str, size: int, sums: int = 200) -> int:
    """Bytes that a device is sent in a generation: fitness and sums, and what it learns from."""
    if devices == 1:
        return 0
    blocks = max(devices, BLOCKS)
    learned = {"scalars": 0, "blocks": 4 * size * blocks, "psum": 8 * size}[comm]
    return 4 * members + sums * blocks + learned


def generation_time(devices, members, comm, measured, latency, bandwidth) -> float:
    """Seconds: episodes, noise drawn again, collectives (one latency for each doubling), the update."""
    mine = members / devices
    noise_of = members if comm == "scalars" else mine
    calls = 2 if comm == "scalars" else 3
    sending = 0.0
    if devices > 1:
        sent = sent_bytes(devices, members, comm, measured["parameters"])
        sending = calls * latency * float(np.log2(devices)) + sent / bandwidth
    computing = mine * measured["episode_s"] + noise_of * measured["noise_of_a_member_s"] + measured["update_s"]
    return computing + sending


def timed_generation(env: str, processes, rounds: int) -> dict[str, float]:
    """A generation of this process's part, and a collective alone."""
    strategy, problem, carry = setting(env, "gaussian", 64, BLOCKS, lanes=8, steps=200)
    mesh = parallel.mesh()
    carry = parallel.replicated(carry, mesh)
    spread = parallel.spread(jaxes.generation(strategy, problem, "scalars"), mesh)
    run = jax.jit(spread).lower(carry).compile()
    gather = lambda x: jax.lax.all_gather(x, parallel.AXIS, tiled=True)
    small = parallel.replicated(jnp.zeros(64), mesh)
    alone = jax.jit(parallel.spread(lambda x: gather(x)[:64], mesh)).lower(small).compile()

    def median(call):
        call()
        taken = []
        for _ in range(rounds):
            processes.meet()
            began = time.perf_counter()
            jax.block_until_ready(call())
            taken.append(time.perf_counter() - began)
        return float(np.median(taken))

    collectives = len(parallel.traffic(run))
    return {
        "generation_s": median(lambda: run(carry)),
        "collective_s": median(lambda: alone(small)),
        "collectives": collectives,
    }


# ------------------------------------------------------------------ accelerators


def accelerators(rounds: int) -> dict[str, Any]:
    """Strong and weak scaling over the accelerators of this machine."""
    rows, count = {}, 1
    while count <= len(jax.devices()):
        for name, members in (("strong", 4096), ("weak", 1024 * count)):
            strategy, problem, carry = setting("brax/ant", "gaussian", members, 8, lanes=members // 8, steps=200)
            step = jax.jit(parallel.spread(jaxes.generation(strategy, problem), parallel.mesh(count)))
            times = _measure.interleaved({"generation": lambda step=step, carry=carry: step(carry)}, rounds)
            rows[f"{name}, {count} devices"] = members / times["generation"]["median"]
        count *= 2
    return rows


# ------------------------------------------------------------------ processes


def environment(strict: bool = True) -> dict[str, str]:
    flags = os.environ.get("XLA_FLAGS", "").replace("--xla_cpu_max_isa=AVX", "")
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": (flags + " --xla_cpu_max_isa=AVX") if strict else flags}


def children(what: str, env: str, kind: str, quick: bool, processes: int = 1, devices: int | None = None) -> list[Any]:
    """What the processes print, each a line of JSON; devices each: 8 in one, 2 in one of several."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    devices = devices or (8 if processes == 1 else 2)
    base = [sys.executable, "-W", "ignore", __file__, "--child", what, "--env", env, "--noise", kind]
    base += ["--where", address, str(processes), str(devices), *(["--quick"] if quick else [])]
    running = [
        subprocess.Popen([*base, "--id", str(i)], env=environment(), text=True, stdout=subprocess.PIPE)
        for i in range(processes)
    ]
    out = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"{what} of {env} failed")
    return [json.loads(text.splitlines()[-1]) for text in out]


def child(args) -> None:
    if args.child == "cost":
        serve(args.env)
        return
    address, processes, devices = args.where[0], int(args.where[1]), int(args.where[2])
    jax.config.update("jax_num_cpu_devices", devices)
    several = (address, processes, args.id) if processes > 1 else ()
    processes = parallel.join(*several, timeout=300, heartbeat=100)
    if args.child == "bits-devices":
        out = bits_of_devices(args.env, args.noise, args.quick)
    elif args.child == "bits-processes":
        out = bits_of_processes(args.env, args.noise, args.quick, processes)
    elif args.child == "traffic":
        out = traffic_here(args.env)
    else:
        out = timed_generation(args.env, processes, 5 if args.quick else 15)
    processes.leave()
    print(json.dumps(out), flush=True)


def draw(found: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    colors = dict(zip(NETWORKS, ("tab:green", "tab:blue", "tab:red"), strict=True))
    styles = {"scalars": "-", "blocks": "--", "psum": ":"}
    for name, row in found["predicted"].items():
        comm, _, network = name.partition(", ")
        left.plot(found["devices"], row["efficiency"], styles[comm], color=colors[network], label=name)
    for comm, style in styles.items():
        row = found["predicted"][f"{comm}, {next(iter(NETWORKS))}"]
        right.plot(found["devices"][1:], row["sent_bytes"][1:], style, color="black", label=comm)
    left.set_ylabel(f"efficiency, {found['members']} members of {found['measured']['parameters']} parameters")
    right.set_ylabel("bytes that a device is sent in a generation")
    right.set_yscale("log")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("devices")
        axes.grid(alpha=0.3)
    right.legend()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(_measure.RESULTS / "scaling.png", dpi=110)


def bounded(figures: dict[str, Any]) -> dict[str, Any]:
    bounds = {}

    def bound(what: str, measured: float, **wanted: float) -> None:
        ((kind, limit),) = wanted.items()
        reached = measured >= limit if kind == "at_least" else measured <= limit
        bounds[what] = {"measured": measured, **wanted, "reached": bool(reached)}

    for name, row in figures.get("bits", {}).items():
        bound(f"{name}: different digests over {len(row)} ways", len(set(row.values())), at_most=1)
    for name, ratio in figures.get("cost", {}).items():
        bound(name, ratio, at_most=1.15 if "strict" in name else 1.03)
    for name, row in figures.get("traffic", {}).items():
        if name.startswith("scalars"):
            rest = row["bytes"] - row["bytes of the problem's sums"]
            bound(f"bytes sent a member, {name}", rest / row["members"], at_most=16)
    return bounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few generations; nothing is saved")
    for hidden in ("--child", "--env", "--noise"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--where", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--id", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    rounds = 3 if args.quick else args.rounds
    figures = {} if args.quick else _measure.load("scaling").get("figures", {})
    parts = {
        "bits": lambda: bits(args.quick),
        "cost": lambda: cost(rounds, args.quick),
        "traffic": lambda: traffic(args.quick),
        "model": lambda: model(rounds, args.quick),
    }
    if len(jax.devices()) > 1 and jax.default_backend() != "cpu":
        parts["accelerators"] = lambda: accelerators(rounds)
    for name in args.part:
        if name not in parts:
            continue
        figures[name] = parts[name]()
        if not args.quick:
            if name == "model":
                draw(figures[name])
            _measure.save("scaling", {"bounds": bounded(figures), "figures": figures})
    for what, row in bounded(figures).items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:8.3f}  {what}")
    if "model" in figures:
        print(json.dumps(figures["model"]["two processes"], indent=2))


if __name__ == "__main__":
    main()
