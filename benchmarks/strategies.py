"""What cma_es costs: beside evosax, many runs at once, and with a decomposition in every generation.

python benchmarks/strategies.py; writes benchmarks/results/strategies.json.
"""

import argparse
import functools

import _measure
import jax
import jax.numpy as jnp
import numpy as np

import jaxes

GENERATIONS = 50


def ellipsoid(x):
    n = x.shape[0]
    return jnp.sum(10.0 ** (6 * jnp.arange(n) / (n - 1)) * x**2)


def ours(n: int, size: int | None = None, generations: int = GENERATIONS, **options):
    """`run(key) -> best value of each generation` and the population's size."""
    size = 4 + int(3 * np.log(n)) if size is None else size
    strategy = jaxes.cma_es(size, 0.5, **options)
    step = jaxes.generation(strategy, jaxes.problem(jaxes.minimize(ellipsoid)))

    def run(key):
        carry = (strategy.init(key, jnp.ones(n)), ())
        return -jax.lax.scan(step, carry, length=generations)[1].best

    return run, size


def evosax(n: int, size: int, generations: int = GENERATIONS):
    from evosax.algorithms import CMA_ES

    peer = CMA_ES(population_size=size, solution=jnp.zeros(n))
    params = peer.default_params.replace(std_init=0.5)

    def run(key):
        def step(state, key):
            ask, tell = jax.random.split(key)
            population, state = peer.ask(ask, state, params)
            values = jax.vmap(ellipsoid)(population)
            state, _ = peer.tell(tell, population, values, state, params)
            return state, jnp.min(values)

        state = peer.init(key, jnp.ones(n), params)
        return jax.lax.scan(step, state, jax.random.split(key, generations))[1]

    return run


def beside_evosax(rounds: int) -> dict:
    key, calls, compile_s = jax.random.key(0), {}, {}
    for name, run in (("evosax", evosax(100, 64)), ("jaxes", ours(100, 64)[0])):
        program, compile_s[name], _ = _measure.compiled(run, key)
        calls[name] = functools.partial(program, key)
    times = _measure.interleaved(calls, rounds)
    for name, row in times.items():
        row |= {"compile_s": compile_s[name], "milliseconds a generation": 1e3 * row["min"] / GENERATIONS}
    return times


def many_at_once(rounds: int, random: str = "threefry2x32", runs: int = 100, n: int = 10) -> dict:
    """100 runs by `vmap`, and one after another."""
    run, _ = ours(n)
    keys = jax.random.split(jax.random.key(1, impl=random), runs)
    one, every = jax.jit(run), jax.jit(jax.vmap(run))

    def in_turn():
        return [one(key) for key in keys]

    return _measure.interleaved({"in sequence": in_turn, "vmap": lambda: every(keys)}, rounds)


def lazy(rounds: int, n: int = 1000, generations: int = 20) -> dict:
    """The tutorial's interval, and a decomposition in every generation; and what either reaches in 300 generations."""
    key, calls, reached = jax.random.key(2), {}, {}
    for name, interval in (("every generation", 1), ("tutorial's interval", None)):
        run, size = ours(n, generations=generations, interval=interval)
        calls[name] = functools.partial(jax.jit(run), key)
        long, _ = ours(100, generations=3000, interval=interval)
        best = jax.jit(jax.vmap(long))(jax.random.split(key, 7))
        reached[name] = float(np.median(np.asarray((best <= 1e-6).argmax(1) + 1) * (4 + int(3 * np.log(100)))))
    times = _measure.interleaved(calls, rounds, warm_up=1)
    for name, row in times.items():
        row |= {"seconds a generation": row["min"] / generations, "evaluations to 1e-6 at n = 100": reached[name]}
    return {"population": size, **times}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    figures = {
        "cma_es beside evosax, n = 100, population 64": beside_evosax(options.rounds),
        "100 runs of cma_es, n = 10": many_at_once(max(3, options.rounds // 3)),
        "100 runs of cma_es, n = 10, philox4x32 keys": many_at_once(max(3, options.rounds // 3), "philox4x32"),
        "cma_es, n = 1000": lazy(3),
    }
    peer, many, philox, rare = figures.values()
    intervals = rare["tutorial's interval"], rare["every generation"]
    evaluations = "evaluations to 1e-6 at n = 100"
    bounds = {
        "time of a generation / evosax's": (peer["jaxes"]["ratio"], 1.0),
        "time of 100 runs by vmap / in sequence": (many["vmap"]["ratio"], 1 / 5),
        "the same with philox4x32 keys": (philox["vmap"]["ratio"], 1 / 5),
        "time, tutorial's interval / every generation, n = 1000": (intervals[0]["ratio"], 1 / 3),
        "evaluations, tutorial's interval / every generation, n = 100": (
            intervals[0][evaluations] / intervals[1][evaluations],
            1.05,
        ),
    }
    report = {name: {"measured": m, "at_most": most, "reached": m <= most} for name, (m, most) in bounds.items()}
    _measure.save("strategies", {"what": "cma_es on the ellipsoid, float32", "bounds": report, "figures": figures})
    for name, row in report.items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:8.4f} (at most {row['at_most']:g})  {name}")


if __name__ == "__main__":
    main()
