"""CyclicMDP, where a thousand steps must all be right: an evolution strategy, its sigma, a policy gradient beside it.

python benchmarks/cyclic_mdp.py [--quick] [--draw]; writes benchmarks/results/cyclic_mdp.json and .png in some minutes.
`open_es` with mirrored sampling, normalized ranks and a decaying learning rate, in the settings of the tutorial
karush17/Evolution-Strategies-PyTorch (two layers of 32, sigma 1, population 100, Adam at 0.1). All sigmas and seeds of
the sweep are one compiled program, `jax.vmap` over states. REINFORCE has the same network and the same rate: an update
from one episode or a few makes it repeat the first wrong action that still paid off, the early local optimum.
"""

import argparse
import time
from typing import Any

import _learning
import _measure
import _reinforce
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _learning import reached, summary

import jaxes
from jaxes import rl, shaping
from jaxes.envs.own.cyclic_mdp import best_return, random_return
from jaxes.strategy import Strategy

HIDDEN, POPULATION, SIGMA, RATE, DECAY = (32, 32), 100, 1.0, 0.1, 0.99
REWARDS = {"CyclicMDP": (1, 1, 2), "CyclicMDPEqual": (1, 1, 1)}
RUNS = {  # environment, head
    "greedy actions": ("CyclicMDP", "categorical"),
    "greedy actions, equal rewards": ("CyclicMDPEqual", "categorical"),
    "sampled actions": ("CyclicMDP", "categorical:sample"),
}
SIGMAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
GRADIENTS = {  # episodes of an update, learning rate, updates
    "1 episode an update": (1, RATE, 300),
    "4 episodes an update": (4, RATE, 300),
    "100 episodes an update": (100, RATE, 60),
    "1 episode an update, a tenth of the rate": (1, RATE / 10, 300),
}
ALL_SEEDS = "1 episode an update"  # whose seeds are all drawn
BOUND = 0.9  # of the seeds


def strategy() -> Strategy:
    rate = optax.exponential_decay(RATE, 1, DECAY)
    return jaxes.open_es(POPULATION, SIGMA, learning_rate=rate, shaping=shaping.normalized_rank())


def generations_of(env: Any, head: str, length: int):
    """`fn(key, **numbers) -> (infos, returns of the mean's policy)`, leaves [length]."""
    policy, search = rl.mlp(env, hidden=HIDDEN, head=head), strategy()
    problem = rl.rollout(env, policy, normalize=False, mode="while", check_every=25)
    generation, judge = jaxes.generation(search, problem), rl.evaluation(env, policy, episodes=1)

    def run(key, **numbers):
        first, members, play, held_out = jax.random.split(key, 4)

        def step(carry, _):
            carry, info = generation(carry)
            return carry, (info, judge(search.recommend(carry[0]), None, held_out).returns[0])

        carry = search.init(members, policy.init(first), **numbers), problem.init(play)
        return jax.lax.scan(step, carry, length=length)[1]

    return run


def learn(name: str, head: str, length: int, seeds: int) -> dict[str, Any]:
    """Seeds one after the other, in one program."""
    began = time.perf_counter()
    env = jaxes.envs.make(f"jaxes/{name}")
    run = generations_of(env, head, length)
    each = jax.jit(lambda numbers: jax.lax.map(lambda seed: run(jax.random.key(seed)), numbers))
    infos, returns = jax.device_get(each(jnp.arange(seeds)))
    best = best_return(REWARDS[name], env.max_steps)
    elites = np.where(
        infos.best == infos.worst, POPULATION, infos.elites
    )  # nobody is above the mean where all are alike
    row = {
        "optimum": best,
        "random policy": random_return(REWARDS[name], env.action.n, env.max_steps),
        "first generation at the optimum": [_when(curve, best) for curve in returns],
        "at the optimum in the end": int(np.sum(returns[:, -1] == best)),
        "seconds": round(time.perf_counter() - began, 1),
        "mean's policy": summary(returns),
        "population's mean": summary(infos.mean),
        "elites": summary(elites),
    }
    print(f"{name}, {head}: {row['first generation at the optimum']}, {row['seconds']} s", flush=True)
    return row


def _when(curve: np.ndarray, target: float) -> int | None:
    first = reached(curve, target)
    return int(first) if np.isfinite(first) else None


def sweep(length: int, seeds: int) -> dict[str, Any]:
    """Every sigma with every seed at once."""
    began = time.perf_counter()
    run = generations_of(jaxes.envs.make("jaxes/CyclicMDP"), "categorical", length)
    both = jax.vmap(jax.vmap(lambda sigma, seed: run(jax.random.key(seed), sigma=sigma), (None, 0)), (0, None))
    _, returns = jax.device_get(jax.jit(both)(jnp.array(SIGMAS), jnp.arange(seeds)))
    best = best_return(REWARDS["CyclicMDP"], 1000)
    row: dict[str, Any] = {"seeds": seeds, "generations": length, "seconds": round(time.perf_counter() - began, 1)}
    row["sigmas"] = {
        str(sigma): {
            "first generation at the optimum": [_when(curve, best) for curve in curves],
            "mean's policy, mean of the seeds": curves.mean(axis=0).round(1).tolist(),
        }
        for sigma, curves in zip(SIGMAS, returns, strict=True)
    }
    print(f"sweep of {len(SIGMAS)} sigmas, {seeds} seeds: {row['seconds']} s", flush=True)
    return row


def gradients(updates: int | None, seeds: int) -> dict[str, Any]:
    """REINFORCE; a seed is stuck if its last fifty updates earn less than a hundredth of the optimum."""
    env, rows = jaxes.envs.make("jaxes/CyclicMDP"), {}
    module, best = rl.MLP((*HIDDEN, env.action.n)), best_return(REWARDS["CyclicMDP"], env.max_steps)
    for name, (episodes, rate, usual) in GRADIENTS.items():
        began = time.perf_counter()
        settings = {"episodes": episodes, "learning_rate": rate, "updates": updates or usual, "seeds": seeds}
        curves = _reinforce.reinforce(env, module, centered=episodes > 1, **settings)
        stuck = curves[:, -50:].mean(axis=1) < best / 100
        rows[name] = {
            **settings,
            "stuck": int(stuck.sum()),
            "returns where stuck": sorted(curves[stuck, -1].tolist()),
            "seconds": round(time.perf_counter() - began, 1),
            "mean of the seeds": curves.mean(axis=0).round(2).tolist(),
        }
        if name == ALL_SEEDS:
            rows[name]["returns"] = curves.round(2).tolist()
        print(f"REINFORCE, {name}: {stuck.sum()} of {seeds} seeds stuck, {rows[name]['seconds']} s", flush=True)
    return rows


def measure(quick: bool) -> dict[str, Any]:
    length, seeds, updates = (2, 2, 2) if quick else (200, 10, None)
    runs = {name: learn(*what, length, seeds) for name, what in RUNS.items()}
    bounds = {}
    for name, row in runs.items():
        count = sum(t is not None for t in row["first generation at the optimum"])
        bounds[f"{name}: share of seeds at the optimum {row['optimum']:g} within {length} generations"] = {
            "measured": count / seeds,
            "at_least": BOUND,
            "reached": count >= BOUND * seeds,
        }
    setting = {"hidden": HIDDEN, "population_size": POPULATION, "sigma": SIGMA, "learning_rate": RATE, "decay": DECAY}
    return {
        "setting": setting,
        "bounds": bounds,
        "runs": runs,
        "sweep": sweep(*((2, 2) if quick else (50, 4))),
        "REINFORCE": gradients(updates, seeds),
    }


def draw(figures: dict[str, Any], path: Any) -> None:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(13, 7.5), layout="constrained")
    (score, several, gradient), (elites, first, single) = picture.subplots(2, 3)
    for i, (name, row) in enumerate(figures["runs"].items()):
        for part, style in (("mean's policy", "-"), ("population's mean", ":")):
            median = row[part]["median"]
            score.plot(range(1, len(median) + 1), median, style, color=f"C{i}", label=f"{name}: {part}")
        _learning.band(elites, row["elites"], f"C{i}", name)
    score.set(title="open_es: return, median of the seeds", xlabel="generations", ylabel="return", xscale="log")
    elites.set(
        title="elite learners: members above the mean, or all alike", xlabel="generations", ylabel=f"of {POPULATION}"
    )
    never = figures["sweep"]["generations"] + 5
    for i, (sigma, row) in enumerate(figures["sweep"]["sigmas"].items()):
        curve = row["mean's policy, mean of the seeds"]
        several.plot(range(1, len(curve) + 1), curve, color=f"C{i}", label=f"sigma {sigma}")
        when = [never if t is None else t for t in row["first generation at the optimum"]]
        first.plot([float(sigma)] * len(when), when, "o", color=f"C{i}", alpha=0.6)
    first.axhline(never, color="0.7", linewidth=1)
    first.text(SIGMAS[0], never - 1, "never", color="0.4", va="top")
    first.set(xscale="log", title="sigma: first generation at the optimum", xlabel="sigma", ylabel="generation")
    several.set(title="sigma: return, mean of the seeds", xlabel="generations", ylabel="return")
    for i, (name, row) in enumerate(figures["REINFORCE"].items()):
        curve = row["mean of the seeds"]
        label = f"{name}: {row['stuck']} of {row['seeds']} stuck"
        gradient.plot(range(1, len(curve) + 1), curve, color=f"C{i}", linewidth=1.2, label=label)
    gradient.set(title="REINFORCE: mean return of the seeds", xlabel="updates", ylabel="return", xscale="log")
    for curve in figures["REINFORCE"][ALL_SEEDS]["returns"]:
        single.plot(range(1, len(curve) + 1), curve, linewidth=1, alpha=0.7)
    single.set_yscale("symlog", linthresh=2)
    single.set(title=f"REINFORCE, {ALL_SEEDS}: every seed", xlabel="updates", ylabel="return (symlog)", xscale="log")
    for axes in picture.axes:
        axes.grid(alpha=0.3)
    for axes, where in ((score, "upper left"), (elites, "lower right"), (gradient, "center left")):
        axes.legend(fontsize="xx-small", loc=where)
    several.legend(fontsize="x-small", loc=(0.65, 0.07))
    picture.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few generations; nothing is saved")
    parser.add_argument("--draw", action="store_true", help="only draw, from the results")
    args = parser.parse_args()
    if args.quick:
        measure(quick=True)
        return
    if not args.draw:
        print(_measure.save("cyclic_mdp", measure(quick=False)))
    figures = _measure.load("cyclic_mdp")
    draw(figures, _measure.RESULTS / "cyclic_mdp.png")
    for what, bound in figures["bounds"].items():
        print("ok  " if bound["reached"] else "MISS", what, bound)


if __name__ == "__main__":
    main()
