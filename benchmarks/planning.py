"""Planning by cross-entropy in the true simulator: a row of PlaNet's Table 1 (Hafner et al. 2019).

1000 candidates, 100 elites, 10 iterations, 12 steps ahead, at every step anew. Cart-pole swing-up is jaxes's own, which
moves as dm_control's; the other five tasks are MuJoCo Playground's and want an accelerator. Then random shooting, which
the paper finds worse, the options that jaxes adds, and how long a plan takes.

python benchmarks/planning.py [--tasks NAME ...] [--seeds N] [--episodes N] [--steps N] [--only PART ...] [--draw]
writes benchmarks/results/planning.json and .png; the cart-pole takes a quarter of an hour on two cores.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import _measure
import jax
import numpy as np

import jaxes
from jaxes import planning


class Task(NamedTuple):
    env: str
    repeat: int  # steps that an action is held for
    published: float  # of the paper's row "CEM + true simulator", mean of 5 seeds and 10 episodes


TASKS = {
    "cart-pole swing-up": Task("jaxes/cartpole_swingup", 8, 850),
    "reacher easy": Task("playground/ReacherEasy", 4, 964),
    "cheetah run": Task("playground/CheetahRun", 4, 656),
    "finger spin": Task("playground/FingerSpin", 2, 825),
    "cup catch": Task("playground/BallInCup", 4, 993),
    "walker walk": Task("playground/WalkerWalk", 2, 994),
}
CART_POLE = "cart-pole swing-up"
PLAN_BOUND = 60.0  # ms
ICEM = {"warm_start": True, "kept_fraction": 0.3, "momentum": 0.1, "noise_exponent": 1.0}
OPTIONS: dict[str, dict[str, Any]] = {
    "warm start": {"warm_start": True},
    "elites kept": {"kept_fraction": 0.3},
    "pink noise": {"noise_exponent": 1.0},
    "all of iCEM": ICEM,
    "all of iCEM, a tenth of the candidates": {**ICEM, "candidates": 100, "elites": 10},
    "MPPI weights": {"temperature": 1.0},
    "least standard deviation 0.1": {"minimum_std": 0.1},
}


def made(task: Task) -> tuple[Any, tuple]:
    """The environment, and the model that is planned with: itself."""
    env = jaxes.envs.repeated(jaxes.envs.make(task.env), task.repeat)
    return env, planning.simulator(env)


def scores(run: Callable, seed: int, episodes: int) -> np.ndarray:
    """float[episodes] of one seed, one episode after the other."""
    keys = jax.random.split(jax.random.key(seed), episodes)
    return np.array([float(run(key).score) for key in keys])


def play(task: Task, planner_of: Callable, seeds: int, episodes: int, steps: int | None, title: str) -> dict:
    """Scores of all seeds, in units of unrepeated steps."""
    env, model = made(task)
    run = jax.jit(planning.episode(env, planner_of(*model, action=env.action), steps=steps))
    began, rows = time.perf_counter(), []
    for seed in range(seeds):
        rows.append(scores(run, seed, episodes).round(2).tolist())
        done = time.perf_counter() - began
        print(f"{title}: seed {seed}: {np.mean(rows[-1]):.1f}, {done:.0f} s", flush=True)
    return {
        "mean": float(np.mean(rows)),
        "standard deviation of the seeds' means": float(np.std(np.mean(rows, axis=1))),
        "steps": steps or env.max_steps,
        "seconds an episode": round((time.perf_counter() - began) / (seeds * episodes), 2),
        "seeds": rows,
    }


def speed(rounds: int = 30) -> dict:
    """Milliseconds of one plan on the cart-pole, compiled."""
    env, model = made(TASKS[CART_POLE])
    plan = jax.jit(planning.cem_mpc(*model, action=env.action))
    state, key = jax.jit(env.reset)(jax.random.key(0)), jax.random.key(1)
    row = _measure.interleaved({"plan": lambda: plan(state, key)}, rounds)["plan"]
    steps = 1000 * 10 * 12 * TASKS[CART_POLE].repeat
    ms = {name: 1e3 * row[name] for name in ("min", "median")}
    return {"milliseconds": ms, "model steps a second": steps / row["median"]}


def bounds(figures: dict) -> dict:
    """What is asked of the cart-pole, beside what was measured."""
    out = {}
    task, paper, shooting = figures.get("tasks", {}).get(CART_POLE), TASKS[CART_POLE].published, figures.get("shooting")
    if task:
        out["cart-pole swing-up, mean of 5 seeds x 10 episodes"] = {"measured": task["mean"], "at_least": paper}
    if task and shooting:
        best = max(row["mean"] for row in shooting.values())
        out["random shooting / cross-entropy, cart-pole"] = {"measured": best / task["mean"], "at_most": 1.0}
    if "speed" in figures:
        plan = figures["speed"]["plan"]["milliseconds"]["median"]
        out["milliseconds of a plan as large as PlaNet's"] = {"measured": plan, "at_most": PLAN_BOUND}
    for row in out.values():
        low, high = row.get("at_least", -np.inf), row.get("at_most", np.inf)
        row["reached"] = bool(low <= row["measured"] <= high)
    return out


def draw(figures: dict) -> None:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(8, 4.5), layout="constrained")
    axes = picture.subplots()
    rows = _all(figures)
    names = list(rows)
    for y, row in enumerate(rows.values()):
        each = np.ravel(row["seeds"])
        axes.barh(y, row["mean"], color="C0" if y == 0 else "0.75" if "shooting" in names[y] else "C1", alpha=0.7)
        axes.plot(each, np.full(each.size, y), "k.", markersize=2)
    axes.axvline(TASKS[CART_POLE].published, color="black", linewidth=0.8, linestyle=":", label="PlaNet, Table 1: 850")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(400, 900)
    axes.set_xlabel("return of an episode (dots), and their mean")
    axes.set_title("Cart-pole swing-up, planned in the true simulator")
    axes.legend(fontsize="small", loc="lower left")
    picture.savefig(_measure.RESULTS / "planning.png", dpi=110)


def _all(figures: dict) -> dict[str, dict]:
    """Everything measured on the cart-pole by name."""
    task = figures.get("tasks", {}).get(CART_POLE)
    own = {"PlaNet's settings": task} if task else {}
    return {**own, **figures.get("options", {}), **figures.get("shooting", {})}


def note(part: str, name: str, row: dict) -> None:
    """Put a row into the results, which are read anew: other tasks may be running beside this one."""
    figures = _measure.load("planning")
    figures.pop("machine", None)
    figures.setdefault(part, {})[name] = row
    figures["bounds"] = bounds(figures)
    print(_measure.save("planning", figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=[CART_POLE])
    parser.add_argument("--only", nargs="*", choices=("tasks", "shooting", "options", "speed"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--steps", type=int, help="cut episodes after that many repeated steps")
    parser.add_argument("--draw", action="store_true", help="only draw, from the results")
    args = parser.parse_args()
    parts = () if args.draw else args.only or ("tasks", "shooting", "options", "speed")
    size = {"seeds": args.seeds, "episodes": args.episodes, "steps": args.steps}
    few = {**size, "episodes": max(1, args.episodes // 5)}
    for name in args.tasks if "tasks" in parts else ():
        row = play(TASKS[name], planning.cem_mpc, **size, title=name)
        note("tasks", name, {**row, "published": TASKS[name].published})
    for name, candidates in {"one iteration": 1000, "ten iterations": 10_000}.items() if "shooting" in parts else ():
        title = f"random shooting, as many samples as {name}"
        planner = functools.partial(planning.random_shooting, candidates=candidates)
        note("shooting", title, play(TASKS[CART_POLE], planner, **(size if candidates == 1000 else few), title=title))
    for name, options in OPTIONS.items() if "options" in parts else ():
        planner = functools.partial(planning.cem_mpc, **options)
        note("options", name, play(TASKS[CART_POLE], planner, **few, title=name))
    if "speed" in parts:
        note("speed", "plan", speed())
    figures = _measure.load("planning")
    draw(figures)
    for what, bound in figures["bounds"].items():
        print("ok  " if bound["reached"] else "MISS", what, bound)


if __name__ == "__main__":
    main()
