"""What the core costs: `ask` + `tell` of open_es beside a hand-written step, blocks, kinds of keys, the import.

python benchmarks/core.py; writes benchmarks/results/core.json.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import time

os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)  # a program from the cache has no compile time

import _measure
import jax
import jax.numpy as jnp
import optax

import jaxes

SIGMA, RATE = 0.02, 0.01
IMPLEMENTATIONS = ("threefry2x32", "philox4x32", "threefry4x32")


def cheap(member):
    return -jnp.sum(member**2)


def by_hand(members: int, parameters: int, population: bool = True):
    """The same algorithm as anyone would write it: mirrored Gaussian noise drawn once a pair, ranks, Adam.

    Without `population` the fitness is computed from the noise, so that there is nothing that `ask` could return.
    """
    optimizer = optax.adam(RATE)

    def init(key):
        mean = jnp.zeros(parameters)
        return key, jnp.int32(0), mean, optimizer.init(mean)

    def step(carry):
        key, t, mean, moments = carry
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(key, t), i))(jnp.arange(members // 2))
        z = jax.vmap(lambda k: jax.random.normal(k, (parameters,)))(keys)
        if population:
            fitness = jax.vmap(cheap)(jnp.concatenate([mean + SIGMA * z, mean - SIGMA * z]))
        else:
            sides = [jax.vmap(lambda e, s=s: cheap(mean + s * e))(z) for s in (SIGMA, -SIGMA)]
            fitness = jnp.concatenate(sides)
        ranks = jnp.argsort(jnp.argsort(fitness))
        weights = ranks / (members - 1) - 0.5
        gradient = (weights[: members // 2] - weights[members // 2 :]) @ z / (members * SIGMA)
        updates, moments = optimizer.update(-gradient, moments)
        return key, t + 1, optax.apply_updates(mean, updates), moments

    return init, step


def ours(members: int, parameters: int, blocks: int):
    strategy = jaxes.open_es(members, SIGMA, learning_rate=RATE, blocks=blocks)
    generation = jaxes.generation(strategy, jaxes.problem(cheap))
    return lambda key: strategy.init(key, jnp.zeros(parameters)), lambda state: generation((state, ()))[0][0]


def steps(members: int, parameters: int, rounds: int) -> dict:
    """Time and temporary memory of one generation."""
    variants = {"by hand": by_hand(members, parameters)}
    variants["by hand, no population"] = by_hand(members, parameters, population=False)
    variants |= {f"blocks={blocks}": ours(members, parameters, blocks) for blocks in (1, 64)}
    figures = {}
    for implementation in IMPLEMENTATIONS:
        key = jax.random.key(0, impl=implementation)
        calls, rows = {}, {"draw": {}}
        for name, (init, step) in variants.items():
            state = jax.jit(init)(key)
            program, seconds, memory = _measure.compiled(step, state)
            calls[name] = functools.partial(program, state)
            rows[name] = {"compile_s": seconds, "temporary_bytes": memory}
        draw = functools.partial(jaxes.noise.gaussian().sample, units=jaxes.Block(0, members // 2), like=state.mean)
        program, rows["draw"]["compile_s"], rows["draw"]["temporary_bytes"] = _measure.compiled(draw, key)
        calls["draw"] = functools.partial(program, key)
        times = _measure.interleaved(calls, rounds)
        figures[implementation] = {name: {**row, **times[name]} for name, row in rows.items()}
    return figures


def imports(rounds: int) -> dict[str, float]:
    """Seconds of a fresh interpreter that imports, taken in turns."""
    code = {"jax, optax": "import jax, optax", "jaxes": "import jaxes"}
    taken: dict[str, list[float]] = {name: [] for name in code}
    for turn in range(rounds + 1):
        for name, line in code.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", line], check=True)
            if turn:
                taken[name].append(time.perf_counter() - start)
    more = [b - a for a, b in zip(*taken.values(), strict=True)]
    rows = {name: {"min": min(times), "median": statistics.median(times)} for name, times in taken.items()}
    return {**rows, "more": min(statistics.median(more), min(taken["jaxes"]) - min(taken["jax, optax"]))}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=256)
    parser.add_argument("--parameters", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    figures = steps(options.members, options.parameters, options.rounds)
    loads = imports(max(3, options.rounds // 2))
    default, philox = figures["threefry2x32"], figures["philox4x32"]
    memory = lambda name: default[name]["temporary_bytes"] / default["by hand"]["temporary_bytes"]
    bounds = {
        "time, blocks=1 / by hand (default key)": (default["blocks=1"]["ratio"], 1.05),
        "temporary memory, blocks=1 / by hand": (memory("blocks=1"), 1.1),
        "time, blocks=64 / by hand (default key)": (default["blocks=64"]["ratio"], 1.1),
        "temporary memory, blocks=64 / by hand": (memory("blocks=64"), 1 / 20),
        "time of the draw, philox4x32 / default key": (philox["draw"]["min"] / default["draw"]["min"], 0.5),
        "seconds, import jaxes - import jax, optax": (loads["more"], 0.15),
    }
    report = {
        name: {"measured": value, "at_most": most, "reached": value <= most} for name, (value, most) in bounds.items()
    }
    path = _measure.save(
        "core",
        {
            "what": f"one generation of open_es, {options.members} members x {options.parameters:,} parameters, f32",
            "bounds": report,
            "step": figures,
            "import": loads,
        },
    )
    for name, row in report.items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:8.4f} (at most {row['at_most']:g})  {name}")
    print(path)


if __name__ == "__main__":
    main()
