"""Populations of low rank: their forward pass, a whole generation, memory, and the cost of the interpreter.

python benchmarks/lowrank.py [--quick]; writes benchmarks/results/lowrank.json. It wants an accelerator for the last
rows, and leaves them out without one. The model is a multilayer perceptron 32-h-h-8 with tanh; a generation draws the
population, takes 16 steps in which the outputs move the inputs, and updates. Times are interleaved in one process;
ratios are medians over rounds. Beside them the machine: its matrix products, its memory, its launches.
"""

import argparse
import time
from typing import Any

import _measure
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxes
from jaxes import noise

INPUTS, OUTPUTS, STEPS = 32, 8, 16
KEY = jax.random.key(0)


class MLP(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
        for _ in range(2):
            x = jnp.tanh(nn.Dense(self.width)(x))
        return nn.Dense(OUTPUTS)(x)


def walk(act, x):
    """`STEPS` steps in which what a member answers moves what it sees."""
    step = lambda x, _: (x + 0.01 * jnp.tile(act(x), (1, INPUTS // OUTPUTS)), None)
    return jax.lax.scan(step, x, length=STEPS)[0]


def ours(module, params, members, **options):
    """(state, one generation, the forward pass of a population)."""
    strategy = jaxes.open_es(members, 0.05, learning_rate=0.01, **options)
    run = jaxes.vmap(module.apply)

    def generation(state, x):
        population = strategy.ask(state)
        fitness = -jnp.sum(walk(lambda x: run(population, x), x) ** 2, axis=1)
        return strategy.tell(state, fitness)[0]

    return strategy, strategy.init(KEY, params), jax.jit(generation)


def evosax(module, params, members):
    """The same generation of evosax's Open_ES."""
    from evosax.algorithms import Open_ES

    strategy = Open_ES(population_size=members, solution=params, optimizer=optax.adam(0.01))
    settings = strategy.default_params

    def generation(state, x, key):
        population, state = strategy.ask(key, state, settings)
        fitness = jnp.sum(walk(lambda x: jax.vmap(module.apply)(population, x), x) ** 2, axis=1)
        return strategy.tell(key, population, fitness, state, settings)[0]

    return strategy.init(KEY, params, settings), jax.jit(generation)


def memory(compiled) -> float:
    """MiB of temporary memory."""
    return compiled.memory_analysis().temp_size_in_bytes / 2**20


def forward(width: int, members: int, rounds: int) -> dict[str, Any]:
    """Steps of a population of rank 1 beside those of one unperturbed model on the same inputs."""
    module, x = MLP(width), jax.random.normal(KEY, (members, INPUTS))
    params = module.init(KEY, x[0])
    strategy, state, _ = ours(module, params, members, noise=noise.low_rank())
    population = jax.jit(strategy.ask)(state)
    one = jax.jit(lambda params, x: walk(lambda x: module.apply(params, x), x))
    all_of_them = jax.jit(lambda population, x: walk(lambda x: jaxes.vmap(module.apply)(population, x), x))
    calls = {"population": lambda: all_of_them(population, x), "one model": lambda: one(params, x)}
    times = _measure.interleaved(calls, rounds)
    return {"population_ms": 1e3 * times["population"]["min"], "one_model_ms": 1e3 * times["one model"]["min"]} | {
        "share": times["one model"]["ratio"]
    }


def generation(width: int, members: int, rounds: int) -> dict[str, Any]:
    """A generation of rank 1 beside evosax's."""
    module, x = MLP(width), jax.random.normal(KEY, (members, INPUTS))
    params = module.init(KEY, x[0])
    _, state, step = ours(module, params, members, noise=noise.low_rank())
    row = {"jaxes_mib": memory(step.lower(state, x).compile())}
    try:
        theirs, their_step = evosax(module, params, members)
    except ImportError:
        return row
    # Some generations a turn, as in a run: the first one after a turn of the other side pays for the other's memory.
    several = 8
    calls = {
        "jaxes": lambda: [step(state, x) for _ in range(several)],
        "evosax": lambda: [their_step(theirs, x, KEY) for _ in range(several)],
    }
    times = _measure.interleaved(calls, rounds)
    row |= {f"{side}_ms": 1e3 * figures["min"] / several for side, figures in times.items()}
    row["evosax_mib"] = memory(their_step.lower(theirs, x, KEY).compile())
    row["time ratio"] = times["evosax"]["ratio"]
    row["memory ratio"] = row["evosax_mib"] / row["jaxes_mib"]
    return row


def streaming(size: int, members: int, rounds: int) -> dict[str, Any]:
    """Full rank: the population in blocks beside a population that is held whole, on a cheap function."""
    params = {"x": jnp.zeros(size)}
    fitness = lambda population: -jnp.mean(jnp.square(population["x"] - 1), axis=1)

    def held(key):
        """What a library does that holds the noise: drawn once, applied, weighed."""
        z = jax.random.normal(key, (members // 2, size))
        z = jnp.concatenate([z, -z])
        weights = fitness({"x": 0.05 * z})
        return weights @ z

    strategy = jaxes.open_es(members, 0.05, shaping=jaxes.shaping.z_score(), blocks=members // 2)
    state = strategy.init(KEY, params)
    problem = jaxes.problem(lambda member: -jnp.mean(jnp.square(member["x"] - 1)))
    step = jax.jit(lambda state: jaxes.generation(strategy, problem)((state, ()))[0][0])
    kept = jax.jit(held)
    calls = {"blocks": lambda: step(state), "held": lambda: kept(KEY)}
    times = _measure.interleaved(calls, rounds, warm_up=1)
    mib = {"blocks": memory(step.lower(state).compile()), "held": memory(kept.lower(KEY).compile())}
    return {f"{side}_ms": 1e3 * figures["min"] for side, figures in times.items()} | {
        "time ratio": times["held"]["ratio"],
        "memory ratio": mib["held"] / mib["blocks"],
        **{f"{side}_mib": value for side, value in mib.items()},
    }


def ten_million(generations: int, quick: bool) -> dict[str, Any]:
    """A model of ten million parameters, full rank, 128 members, on the memory of a small machine: does it learn?

    Two hidden layers on a regression; one pass over blocks of a pair each; philox keys, which draw faster.
    """
    width, members = (64, 8) if quick else (3072, 128)
    module, x = MLP(width), jax.random.normal(KEY, (64, INPUTS))
    wanted = jnp.sin(x[:, :OUTPUTS])
    params = module.init(KEY, x[0])
    loss = lambda params: jnp.mean(jnp.square(module.apply(params, x) - wanted))
    options = {"learning_rate": 1e-3, "shaping": jaxes.shaping.z_score(), "blocks": members // 2}
    strategy = jaxes.open_es(members, 0.01, **options)
    state = strategy.init(jax.random.key(1, impl="philox4x32"), params)
    step = jax.jit(jaxes.generation(strategy, jaxes.problem(jaxes.minimize(loss))), donate_argnums=0)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    row = {"parameters": size, "population held whole, MiB": members * size * 4 / 2**20}
    row["temporary memory, MiB"] = memory(step.lower((state, ())).compile())
    losses, carry, taken = [float(loss(params))], (state, ()), []
    for _ in range(generations):
        began = time.perf_counter()
        carry, _ = jax.block_until_ready(step(carry))
        taken.append(time.perf_counter() - began)
        losses.append(float(loss(carry[0].mean)))
    return row | {"seconds a generation": float(np.median(taken)), "losses": losses}


def drawing(rounds: int) -> float:
    """How much cheaper signs are than normal numbers: factors of rank 1 for 4096 members of 1584 numbers."""
    params = {"w": jnp.zeros((792, 792))}
    ids = jnp.arange(4096)
    draws = {
        name: jax.jit(lambda key, kind=noise.low_rank(1, name): kind.sample(key, ids, params))
        for name in ("rademacher", "normal")
    }
    times = _measure.interleaved({name: (lambda draw=draw: draw(KEY)) for name, draw in draws.items()}, rounds)
    return times["normal"]["ratio"]


def tracing(repeats: int = 7) -> float:
    """Milliseconds that tracing and compiling the interpreted model takes beyond those of the model itself."""
    module, x = MLP(64), jnp.zeros((8, INPUTS))
    params = module.init(KEY, x[0])
    strategy, state, _ = ours(module, params, 8, noise=noise.low_rank())
    population = jax.jit(strategy.ask)(state)
    sides = {"plain": (lambda p, x: module.apply(p, x), params), "low rank": (jaxes.vmap(module.apply), population)}
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, (function, first) in sides.items():
            jax.clear_caches()
            began = time.perf_counter()
            jax.jit(lambda first, x, function=function: function(first, x)).lower(first, x).compile()
            taken[side].append(time.perf_counter() - began)
    return 1e3 * (np.median(taken["low rank"]) - np.median(taken["plain"]))


def roofline() -> dict[str, float]:
    """What the machine does at best: GFLOP/s of a matrix product, GB/s of a copy, microseconds of a launch."""
    a, big = jnp.ones((1024, 1024)), jnp.ones(2**25)
    product, copy, nothing = jax.jit(lambda a: a @ a), jax.jit(lambda x: x + 1), jax.jit(lambda x: x + 1)
    small = jnp.ones(())
    calls = {"product": lambda: product(a), "copy": lambda: copy(big), "launch": lambda: nothing(small)}
    times = {name: row["min"] for name, row in _measure.interleaved(calls, 15).items()}
    return {
        "gemm_gflops": 2 * 1024**3 / times["product"] / 1e9,
        "memory_gb_per_s": 2 * big.nbytes / times["copy"] / 1e9,
        "launch_us": 1e6 * times["launch"],
    }


def largest(width: int = 1024) -> dict[str, Any]:
    """On an accelerator: a generation of 4096 members, and the largest population that fits."""
    rows = {}
    members = 4096
    while True:
        module, x = MLP(width), jax.random.normal(KEY, (members, INPUTS))
        try:
            _, state, step = ours(module, module.init(KEY, x[0]), members, noise=noise.low_rank())
            jax.block_until_ready(step(state, x))
            began = time.perf_counter()
            jax.block_until_ready(step(state, x))
        except Exception as error:  # out of memory, by whatever name the backend calls it
            rows["stopped by"] = type(error).__name__
            return rows
        rows[str(members)] = 1e3 * (time.perf_counter() - began)
        members *= 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds and small models; nothing is saved")
    args = parser.parse_args()
    rounds = 3 if args.quick else 31
    few = 2 if args.quick else 5
    members = 64 if args.quick else 1024
    figures: dict[str, Any] = {"machine's best": roofline()}
    for width in (64, 256, 1024):
        turns = rounds if width < 1024 else 3 * few
        figures[f"forward, width {width}, {members} members"] = forward(width, members, turns)
    for width in (64, 256):
        figures[f"generation, width {width}, {members} members"] = generation(width, members, few)
    size = 10_000 if args.quick else 1_000_000
    figures[f"streaming, {size} parameters, 128 members"] = streaming(size, 128, few)
    figures["ten million parameters, 128 members"] = ten_million(2 if args.quick else 8, args.quick)
    figures["rank 1: normal / signs"] = drawing(few)
    figures["interpreter, ms beyond jit"] = tracing()
    if jax.default_backend() != "cpu":
        figures["generations of width 1024, ms"] = largest()
    bounds = {}

    def bound(what: str, row: str, name: str | None, **wanted: float) -> None:
        ((kind, limit),) = wanted.items()
        value = figures[row] if name is None else figures[row].get(name, float("nan"))
        reached = bool(value >= limit if kind == "at_least" else value <= limit)
        bounds[what] = {"measured": float(value), **wanted, "reached": reached}

    for width, least in ((256, 0.9), (1024, 0.95)):
        row = f"forward, width {width}, {members} members"
        bound(f"{row}: one model's time / the population's", row, "share", at_least=least)
    for width, least in ((64, 8.0), (256, 20.0)):
        row = f"generation, width {width}, {members} members"
        bound(f"{row}: evosax's time / ours", row, "time ratio", at_least=least)
    bound(f"{row}: evosax's memory / ours", row, "memory ratio", at_least=40.0)
    row = f"streaming, {size} parameters, 128 members"
    bound(f"{row}: time of noise held whole / ours", row, "time ratio", at_least=2.0)
    bound(f"{row}: memory of noise held whole / ours", row, "memory ratio", at_least=40.0)
    bound("time to draw normal factors / signs", "rank 1: normal / signs", None, at_least=10.0)
    bound("interpreter, ms of tracing and compiling beyond jit", "interpreter, ms beyond jit", None, at_most=100.0)
    for what, line in bounds.items():
        print(f"{'ok  ' if line['reached'] else 'MISS'} {line['measured']:9.3f}  {what}")
    if not args.quick:
        print(_measure.save("lowrank", {"bounds": bounds, "figures": figures}))


if __name__ == "__main__":
    main()
