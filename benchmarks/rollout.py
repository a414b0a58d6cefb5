"""What refilled lanes save: against a fixed scan, a loop until the last episode ends, and stepping alone.

python benchmarks/rollout.py; writes benchmarks/results/rollout.json. Sizes are those of the questions asked, so it
takes some minutes on two cores.
"""

import argparse
import functools

import _measure
import jax
import jax.numpy as jnp

import jaxes
from jaxes import rl

KEY = jax.random.key(0)


def evaluation(env, members: int, **options):
    """A compiled evaluation of a population around a random policy, `() -> (fitness, sums)`, and seconds to compile."""
    policy = rl.mlp(env, hidden=(32, 32))
    strategy = jaxes.open_es(members, 0.1)
    problem = rl.rollout(env, policy, **options)
    state, lanes = strategy.init(KEY, policy.init(KEY)), problem.init(KEY)

    def evaluate(state, lanes):
        ask = lambda ids=None: strategy.ask(state, ids)
        return problem.evaluate(lanes, jax.random.key(1), ask, jnp.arange(members))

    program, seconds, _ = _measure.compiled(evaluate, state, lanes)
    return functools.partial(program, state, lanes), seconds


def modes(name: str, members: int, variants: dict[str, dict], rounds: int, **options) -> dict:
    """Seconds of each variant on one environment; ratios are to the first."""
    env = jaxes.envs.make(name)
    made = {what: evaluation(env, members, **options, **variant) for what, variant in variants.items()}
    last = {}

    def kept(what):
        last[what] = made[what][0]()
        return last[what]

    rows = _measure.interleaved({what: functools.partial(kept, what) for what in made}, rounds, warm_up=0)
    for what, row in rows.items():
        returns, sums = last[what]
        apart = jnp.abs(returns - last[next(iter(made))][0])
        row |= {
            "compile_s": made[what][1],
            "steps": int(sums.steps),
            "utilization": int(sums.steps) / int(sums.lane_steps),
            "steps a second": int(sums.steps) / row["median"],
            "returns that differ by more than 1 %": float(jnp.mean(apart > 0.01 * jnp.abs(returns))),
        }
        print(f"{name} {what}: {row}", flush=True)
    return rows


def beside_stepping(rounds: int, members: int = 128, lanes: int = 64, steps: int = 1000) -> dict:
    """A whole generation (draw, play, normalize, tell) on ant, and loops that only step it with random actions.

    Ants that fall go on, so that all take the same steps. One loop steps by `vmap`, one by one program for all lanes.
    """
    env = jaxes.envs.make("brax/ant", terminate_when_unhealthy=False)
    policy = rl.mlp(env, hidden=(32, 32))
    strategy = jaxes.open_es(members, 0.05)
    problem = rl.rollout(env, policy, max_steps=steps, lanes=lanes)
    carry = (strategy.init(KEY, policy.init(KEY)), problem.init(KEY))
    generation, compile_s, _ = _measure.compiled(jaxes.generation(strategy, problem), carry)

    def only(key, step):
        state = jax.vmap(env.reset)(jax.random.split(key, lanes))

        def one(state, t):
            action = jax.random.uniform(jax.random.fold_in(key, t), (lanes, 8), minval=-1, maxval=1)
            return jax.vmap(step)(state, action), None

        return jax.lax.scan(one, state, jnp.arange(steps * members // lanes))[0].reward

    calls = {"generation": functools.partial(generation, carry)}
    for name, step in (("stepping", env.step), ("stepping, one program", jaxes.lanewise(env.step))):
        program, _, _ = _measure.compiled(functools.partial(only, step=step), KEY)
        calls[name] = functools.partial(program, KEY)
    sums = int(generation(carry)[0][1].steps)
    rows = _measure.interleaved(calls, rounds, warm_up=0)
    for row in rows.values():
        row["steps a second"] = steps * members / row["median"]
    rows["generation"]["steps a second"] = sums / rows["generation"]["median"]
    rows["generation"] |= {"compile_s": compile_s, "steps": sums, "useful of stepped": sums / (steps * members)}
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    every = {"scan": {"mode": "scan"}, "while": {"mode": "while"}, "refill": {}}
    hopper = modes("brax/hopper", 1024, every, max(2, rounds // 2), max_steps=1000)
    full = modes("brax/halfcheetah", 256, {"scan": {"mode": "scan"}, "refill": {}}, rounds, max_steps=104)
    ant = beside_stepping(rounds)
    bounds = {
        "hopper, 1024 members, 1000 steps: scan / refill": (1 / hopper["refill"]["ratio"], 8.0, True),
        "the same: while / refill": (hopper["while"]["ratio"] / hopper["refill"]["ratio"], 2.5, True),
        "halfcheetah, no early end: refill / scan": (full["refill"]["ratio"], 1.03, False),
        "ant, steps a second: generation / stepping alone by vmap": (ant["stepping"]["ratio"], 0.95, True),
        "ant, steps a second: generation / stepping alone": (ant["stepping, one program"]["ratio"], 0.95, True),
    }
    report = {
        name: {"measured": m, "at_least" if more else "at_most": bound, "reached": m >= bound if more else m <= bound}
        for name, (m, bound, more) in bounds.items()
    }
    figures = {"brax/hopper": hopper, "brax/halfcheetah": full, "brax/ant": ant}
    _measure.save("rollout", {"what": "policy 32-32, float32, spring", "bounds": report, "figures": figures})
    for name, row in report.items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:8.4f}  {name}")


if __name__ == "__main__":
    main()
