"""One program a lane beside `vmap`: environments alone, whole generations, other ways to the same, and other libraries.

python benchmarks/lanewise.py [PART ...]; writes benchmarks/results/lanewise.json, where other parts stay as they are.
Each part takes some minutes on two cores.
"""

import argparse
import functools
import time

import _lanewise_ways as ways
import _measure
import _racing
import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes import rl
from jaxes.lanewise.program import run, traced

KEY = jax.random.key(0)
ENVIRONMENTS = ("hopper", "walker2d", "halfcheetah", "ant", "humanoid", "inverted_pendulum")
# A factor of `vmap`'s steps a second, at 64 lanes and at 512.
ASKED = {"humanoid": 3, "inverted_pendulum": 3}


def moment(env, lanes: int):
    """States some steps after a reset, and actions."""
    low, high = env.action.low, env.action.high
    action = jax.random.uniform(jax.random.key(1), (lanes, *low.shape), minval=low, maxval=high)
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(KEY, lanes))
    for _ in range(3):
        state = jax.jit(jax.vmap(env.step))(state, action)
    return state, action


def steps(step, count: int = 8):
    """Several steps of all lanes in one program."""
    return lambda state, action: jax.lax.scan(lambda s, _: (step(s, action), None), state, length=count)[0]


def alone(name: str, lanes: int, rounds: int) -> dict:
    """An environment's steps, by `vmap` and as one program."""
    env = jaxes.envs.make(f"brax/{name}")
    state, action = moment(env, lanes)
    rows, calls = {}, {}
    kinds = {"vmap": env.step, "lanewise": jaxes.lanewise(env.step), "finite": jaxes.lanewise(env.step, finite=True)}
    for what, step in kinds.items():
        start = time.perf_counter()
        lowered = jax.jit(steps(jax.vmap(step))).lower(state, action)
        traced_s = time.perf_counter() - start
        program = lowered.compile()
        rows[what] = {"trace_s": traced_s, "compile_s": time.perf_counter() - start - traced_s}
        calls[what] = functools.partial(program, state, action)
    for what, row in _measure.interleaved(calls, rounds).items():
        rows[what] |= {**row, "steps a second": 8 * lanes / row["median"]}
    return rows


def difference(name: str, states: int = 100, turns: int = 10) -> dict:
    """The largest difference from `vmap` in some steps, beside the size of the leaf.

    And that of `vmap` from itself, where the state is moved by 3e-7 of its numbers: a contact begins or it does not.
    """
    env = jaxes.envs.make(f"brax/{name}")
    state, action = moment(env, states)
    slow, fast = (jax.jit(jax.vmap(f)) for f in (env.step, jaxes.lanewise(env.step)))
    worst = {"lanewise": 0.0, "vmap, state moved": 0.0}
    for turn in range(turns):
        want = slow(state, action)
        others = [("lanewise", fast(state, action))]
        others += [("vmap, state moved", slow(moved(state, 8 * turn + draw), action)) for draw in range(8)]
        for what, got in others:
            for w, g in zip(jax.tree.leaves(want), jax.tree.leaves(got)):
                if w.dtype.kind == "f" and w.size:
                    worst[what] = max(worst[what], float(jnp.abs(w - g).max() / jnp.maximum(1, jnp.abs(w).max())))
        state = want
    return worst


def moved(state, seed: int):
    """A state whose numbers are other ones by a few units of their last place."""
    leaves, tree = jax.tree.flatten(state)
    rng = np.random.default_rng(seed)
    other = lambda x: x * (1 + 3e-7 * rng.standard_normal(x.shape)).astype(np.float32) if x.dtype == np.float32 else x
    return tree.unflatten([other(x) for x in leaves])


def returns(name: str, members: int = 512, max_steps: int = 200) -> dict:
    """Mean returns of random policies both ways."""
    env = jaxes.envs.make(f"brax/{name}")
    policy = rl.mlp(env, hidden=(32, 32))
    population = jax.vmap(policy.init)(jax.random.split(jax.random.key(3), members))
    out = {}
    for how in ("off", "auto"):
        problem = rl.rollout(env, policy, max_steps=max_steps, lanewise=how)
        ask = lambda ids=None: population if ids is None else jax.tree.map(lambda x: x[ids], population)
        evaluate = functools.partial(problem.evaluate, key=jax.random.key(4), ask=ask, ids=jnp.arange(members))
        out[how] = np.asarray(jax.jit(evaluate)(problem.init(KEY))[0])
    error = float(out["off"].std() / members**0.5)
    return {
        "vmap": float(out["off"].mean()),
        "lanewise": float(out["auto"].mean()),
        "standard error": error,
        "difference / standard error": abs(float(out["auto"].mean() - out["off"].mean())) / error,
    }


def generation(env, hidden, members: int, max_steps: int, how: str, lanes: int | None = None):
    """A compiled generation, its carry, and seconds to trace and compile."""
    policy = rl.mlp(env, hidden=hidden)
    strategy = jaxes.open_es(members, 0.05)
    problem = rl.rollout(env, policy, max_steps=max_steps, lanewise=how, lanes=lanes)
    carry = (strategy.init(KEY, policy.init(KEY)), problem.init(KEY))
    start = time.perf_counter()
    program = jax.jit(jaxes.generation(strategy, problem)).lower(carry).compile()
    return functools.partial(program, carry), time.perf_counter() - start


def generations(rounds: int) -> dict:
    """Whole generations of 64 dense members on 64 lanes."""
    out = {}
    for name in ("hopper", "ant", "halfcheetah"):
        kept = {} if name == "halfcheetah" else {"terminate_when_unhealthy": False}
        env = jaxes.envs.make(f"brax/{name}", **kept)  # so that both ways take the same steps
        for hidden in ((32, 32), (64, 64)):
            made = {how: generation(env, hidden, 64, 100, how) for how in ("off", "auto")}
            rows = _measure.interleaved({how: call for how, (call, _) in made.items()}, rounds)
            for how, row in rows.items():
                row["seconds to trace and compile"] = made[how][1]
            out[f"{name}, {hidden[0]}-{hidden[1]}"] = rows
            print(name, hidden, {how: round(row["median"], 4) for how, row in rows.items()}, flush=True)
    return out


LANES = (64, 128, 256, 512)
# environment: (hidden layers, steps of an episode at most, generations before the one that is measured)
BY_LANES = {
    "brax/hopper": ((32, 32), 1000, 0),  # all fall soon
    "brax/hopper, later": ((32, 32), 1000, 25),  # some fall soon, some never
    "brax/ant": ((64, 64), 200, 0),
    "brax/halfcheetah": ((32, 32), 200, 0),
    "brax/inverted_pendulum": ((32, 32), 1000, 5),
    "gymnax/CartPole-v1": ((32, 32), 500, 5),
    "gymnax/CartPole-v1, 64-64": ((64, 64), 500, 5),
    "jaxes/CyclicMDP": ((32,), 200, 0),
    "jaxes/cartpole_swingup": ((32, 32), 200, 0),
}


def by_lanes(rounds: int) -> dict:
    """Generations by the number of members and of lanes."""
    out = {}
    for what, (hidden, steps, before) in BY_LANES.items():
        env = jaxes.envs.make(what.partition(",")[0])
        policy = rl.mlp(env, hidden=hidden)
        for members in LANES[1:]:
            strategy = jaxes.open_es(members, 0.05, learning_rate=0.02)
            programs = {}
            for lanes in (n for n in LANES if n <= members):
                problem = rl.rollout(env, policy, max_steps=steps, lanes=lanes, seeds="generation")
                if not programs:
                    carry = (strategy.init(KEY, policy.init(KEY)), problem.init(KEY))
                made = jax.jit(jaxes.generation(strategy, problem)).lower(carry).compile()
                programs[f"{lanes} lanes"] = made
            for _ in range(before):
                carry, _ = programs["64 lanes"](carry)
            calls = {name: functools.partial(program, carry) for name, program in programs.items()}
            out[f"{what}, {members} members"] = rows = _measure.interleaved(calls, rounds)
            for name, row in rows.items():
                after = programs[name](carry)[0][1]
                played, stepped = (
                    int(getattr(after, of)) - int(getattr(carry[1], of)) for of in ("steps", "lane_steps")
                )
                row |= {"mean length": played / members, "utilization": played / stepped}
            print(what, members, {name: round(row["ratio"], 3) for name, row in rows.items()}, rows, flush=True)
    return out


def small() -> dict:
    """Environments that were fast before."""
    out = {}
    for name in ("gymnax/CartPole-v1", "jaxes/CyclicMDP"):
        env = jaxes.envs.make(name)
        calls = {}
        for how in ("off", "auto"):
            policy = rl.mlp(env, hidden=(32,), head="categorical")
            strategy = jaxes.open_es(256, 0.05)
            problem = rl.rollout(env, policy, max_steps=200, lanewise=how)
            carry = (strategy.init(KEY, policy.init(KEY)), problem.init(KEY))
            calls[how] = functools.partial(jax.jit(jaxes.generation(strategy, problem)).lower(carry).compile(), carry)
        out[name] = _measure.interleaved(calls, 15)
    return out


def other_ways(rounds: int, name: str = "hopper", lanes: int = 64) -> dict:
    """Other ways to run the same program."""
    env = jaxes.envs.make(f"brax/{name}")
    state, action = moment(env, lanes)
    leaves, tree = jax.tree.flatten((state, action))
    shapes = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in leaves]
    closed, out = jax.make_jaxpr(lambda *x: env.step(*tree.unflatten(x)), return_shape=True)(*shapes)
    program = traced(closed)
    whole = lambda how: lambda s, a: jax.tree.structure(out).unflatten(how(program, lanes, jax.tree.leaves((s, a))))
    kinds = {
        "vmap": jax.vmap(env.step),
        "operations of XLA, a vector an element": whole(ways.vectors),
        "the same as one small call": whole(ways.small_call),
        "LLVM": whole(run),
    }
    rows, calls = {}, {}
    for what, step in kinds.items():
        start = time.perf_counter()
        program_ = jax.jit(steps(step)).lower(state, action).compile()
        rows[what] = {"seconds to trace and compile": time.perf_counter() - start}
        calls[what] = functools.partial(program_, state, action)
    start = time.perf_counter()
    by_c = ways.ByC(program, lanes, leaves)
    rows["C by the system's compiler, outside of JAX"] = {"seconds to trace and compile": time.perf_counter() - start}
    calls["C by the system's compiler, outside of JAX"] = lambda: [by_c.run() for _ in range(8)]
    for what, row in _measure.interleaved(calls, rounds).items():
        rows[what] |= {**row, "milliseconds a step": row["median"] / 8 * 1e3}
        print(what, rows[what], flush=True)
    return rows


def evosax(rounds: int) -> dict:
    """A generation of evosax's OpenES on its BraxProblem beside ours, the same sizes."""
    from evosax.algorithms import Open_ES
    from evosax.problems import BraxProblem
    from evosax.problems.networks import MLP, tanh_output_fn

    out = {}
    for name in ("hopper", "ant", "halfcheetah"):
        env = jaxes.envs.make(f"brax/{name}")
        ours, _ = generation(env, (32, 32), 64, 100, "auto")
        network = MLP(layer_sizes=(32, 32, env.action.low.shape[0]), output_fn=tanh_output_fn)
        problem = BraxProblem(env_name=name, policy=network, episode_length=100, num_rollouts=1)
        state = problem.init(KEY)
        params = problem.sample(KEY)
        strategy = Open_ES(population_size=64, solution=params)
        numbers = strategy.default_params
        started = strategy.init(KEY, params, numbers)

        @jax.jit
        def theirs(key, started, state, strategy=strategy, problem=problem, numbers=numbers):
            population, started = strategy.ask(key, started, numbers)
            fitness, state, _ = problem.eval(key, population, state)
            started, _ = strategy.tell(key, population, -fitness, started, numbers)
            return started, state

        call = functools.partial(theirs, KEY, started, state)
        out[name] = _measure.interleaved({"jaxes": ours, "evosax": call}, rounds)
        print(name, out[name], flush=True)
    return out


def brax_es(rounds: int, members: int = 64, max_steps: int = 100) -> dict:
    """A generation of Brax's own ES trainer beside ours, the same sizes: ours runs after each of its generations.

    Episodes end at the time limit only, so that both take the same steps.
    """
    import brax.envs
    from brax.training.agents.es import networks
    from brax.training.agents.es.train import FitnessShaping

    out = {}
    for name in ("hopper", "ant", "halfcheetah"):
        kept = {} if name == "halfcheetah" else {"terminate_when_unhealthy": False}
        ours, _ = generation(jaxes.envs.make(f"brax/{name}", **kept), (32, 32), members, max_steps, "auto")
        clock, taken = [0.0], {"jaxes": [], "brax": []}

        def after(metrics, _, ours=ours, clock=clock, taken=taken):
            clock.append(metrics["training/walltime"])
            start = time.perf_counter()
            jax.block_until_ready(ours())
            taken["jaxes"].append(time.perf_counter() - start)
            taken["brax"].append(clock[-1] - clock[-2])
            return len(clock) <= rounds + 3

        _racing.brax_es(
            brax.envs.get_environment(name, backend="spring", **kept),
            after,
            episode_length=max_steps,
            population_size=members // 2,  # pairs
            fitness_shaping=FitnessShaping.CENTERED_RANK,
            perturbation_std=0.05,
            normalize_observations=True,
            network_factory=functools.partial(
                networks.make_es_networks, hidden_layer_sizes=(32, 32), activation=jnp.tanh
            ),
        )
        rows = _measure.summary({side: times[3:] for side, times in taken.items()})  # it compiles in two of the first
        for row in rows.values():
            row["steps a second"] = members * max_steps / row["median"]
        out[name] = rows
        print(name, rows, flush=True)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("alone", "differences", "returns", "generations", "lanes", "small", "ways", "evosax", "brax es")
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="all by default")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    try:
        figures = {name: part for name, part in _measure.load("lanewise").items() if name in parts}
    except FileNotFoundError:
        figures = {}
    for part in options.parts or parts:
        if part == "alone":
            figures[part] = {}
            for name in ENVIRONMENTS:
                for lanes in (64, 512):
                    figures[part][f"{name}, {lanes} lanes"] = rows = alone(name, lanes, options.rounds)
                    print(name, lanes, {k: round(v["steps a second"]) for k, v in rows.items()}, flush=True)
        elif part == "differences":
            figures[part] = {name: difference(name) for name in ENVIRONMENTS}
        elif part == "returns":
            figures[part] = {name: returns(name) for name in ("hopper", "ant", "halfcheetah")}
        elif part == "generations":
            figures[part] = generations(options.rounds)
        elif part == "lanes":
            figures[part] = by_lanes(options.rounds)
        elif part == "small":
            figures[part] = small()
        elif part == "ways":
            figures[part] = other_ways(options.rounds)
        elif part == "evosax":
            figures[part] = evosax(options.rounds)
        else:
            figures[part] = brax_es(options.rounds)
        _measure.save("lanewise", {"bounds": bounds(figures), **figures})
    for name, row in bounds(figures).items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:10.4g}  {name}")


def bounds(figures: dict) -> dict:
    """What was asked, of the parts that there are."""
    out = _measure.Bounds()
    for name, rows in figures.get("alone", {}).items():
        kind = name.split(",")[0]
        out.at_least(f"{name}: steps a second / vmap's", 1 / rows["lanewise"]["ratio"], ASKED.get(kind, 5))
        total = {k: row["trace_s"] + row["compile_s"] for k, row in rows.items()}
        most = 2 if kind == "humanoid" else 1.5
        out.at_most(f"{name}: seconds to compile / vmap's", total["lanewise"] / total["vmap"], most)
    for name, worst in figures.get("differences", {}).items():
        out.at_most(f"{name}: largest difference in 10 steps from 100 states", worst["lanewise"], 1e-4)
    for name, row in figures.get("returns", {}).items():
        out.at_most(
            f"{name}: mean returns of 512 policies, apart / standard error", row["difference / standard error"], 1
        )
    for name, rows in figures.get("generations", {}).items():
        out.at_least(f"generation, {name}: vmap's time / ours", 1 / rows["auto"]["ratio"], 5)
    for name, rows in figures.get("small", {}).items():
        out.at_most(f"{name}: a generation's time / vmap's", rows["auto"]["ratio"], 1.03)
    for name, rows in figures.get("evosax", {}).items():
        out.at_least(f"generation, {name}: evosax's time / ours", rows["evosax"]["ratio"], 5)
    for name, rows in figures.get("brax es", {}).items():
        out.at_least(f"generation, {name}: time of Brax's ES trainer / ours", rows["brax"]["ratio"], 5)
    return out


if __name__ == "__main__":
    main()
