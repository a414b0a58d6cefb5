"""Tetris learned by cross-entropy with noise (Szita & Lorincz 2006), beside the curves of Thiery & Scherrer (2009).

100 members a generation play one game each; the Gaussian is fitted to the best 10, and noise is added to its variance:
none, constant (4), or decreasing (5 - t / 10). After every fifth generation the mean plays 30 games. Their scores are
spread over four orders of magnitude, so games are capped, and capped ones are counted by the exponential estimator.

The published runs do not say what becomes of rows that are filled by a piece which reaches above the board, so there
are both: they go, and the game goes on; or the game ends, as the pile is too high.

python benchmarks/tetris.py [--rule NAME ...] [--noise NAME ...] [--seeds N] [--speed] [--jumanji PYTHON] [--draw]
writes benchmarks/results/tetris.json (after every seed; what is there is not run again) and tetris.png. Hours.
"""

import argparse
import functools
import itertools
import json
import math
import pathlib
import subprocess
import sys
import time
from typing import Any

import _measure
import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes import rl

NOISES = {"none": 0.0, "constant": 4.0, "decreasing": lambda t: jnp.maximum(5 - t / 10, 0)}
RULES = {"they end the game": False, "they go": True}  # full rows of a piece that reaches above the board
PARTS = ("published weights", "speed", "runs")
POPULATION, SIGMA, ELITES = 100, 10.0, 0.1
GAMES, EVERY = 30, 5
CAP = 100_000  # pieces in a game, of training and evaluation; about 40,000 rows
LANES = 32

# Median of 10 runs of mdptetris, `experiments/cross_entropy_reproducing_original` (Thiery & Scherrer 2009).
PUBLISHED = {
    "none": {5: 59, 10: 148, 20: 324, 30: 311, 40: 318, 60: 378, 80: 330},
    "constant": {5: 117, 10: 320, 20: 3_776, 30: 28_062, 40: 61_790, 60: 80_176, 80: 95_727},
    "decreasing": {5: 71, 10: 238, 20: 1_730, 30: 3_592, 40: 22_167, 60: 87_415, 80: 81_702},
}
# mdptetris, `experiments/cross_entropy_record/features_bertsekas.dat`, and 0 for the constant.
RECORD = [31.791, -26.81008, -1.92745, -7.703548, -8.963847, -1.165515, -8.452893, -3.272765, -30.711, 33.21558]
RECORD += [-52.004, -30.31576, -46.973, -40.59127, -39.49936, -34.69435, -45.43003, -31.68468, -51.88506]
RECORD += [-10.68478, -211.1157, 0.0]
BANDS = {10: (100, 1_000), 20: (500, 25_000), 40: (2_000, 110_000)}  # of the median with constant noise


@functools.cache
def parts(rule: str, noise: str):
    """(strategy, problem, policy, one generation, games of one set of weights)."""
    env = jaxes.envs.make("jaxes/tetris", max_steps=CAP, overflow=RULES[rule])
    policy = rl.values(env)
    problem = rl.rollout(env, policy, normalize=False, seeds="independent", mode="refill", lanes=LANES, check_every=16)
    strategy = jaxes.cem(POPULATION, SIGMA, elite_fraction=ELITES, variance_noise=NOISES[noise])
    step = jax.jit(jaxes.generation(strategy, problem))
    games = jax.jit(lambda params, key: rl.evaluation(env, policy, episodes=GAMES)(params, None, key))
    return strategy, problem, policy, step, games


def learn(rule: str, noise: str, seed: int, generations: int) -> dict:
    """One run: the mean's score after every `EVERY` generations."""
    strategy, problem, policy, step, games = parts(rule, noise)
    began = time.perf_counter()
    first, search, play, held_out = jax.random.split(jax.random.key(seed), 4)
    zeros = jax.tree.map(jnp.zeros_like, policy.init(first))
    carry, scores, capped, shares = (strategy.init(search, zeros), problem.init(play)), {}, {}, []
    for t in range(1, generations + 1):
        before = int(carry[1].truncated)
        carry, _ = step(carry)
        shares.append((int(carry[1].truncated) - before) / POPULATION)
        if t % EVERY == 0:
            out = games(strategy.recommend(carry[0]), jax.random.fold_in(held_out, t))
            score, cut = float(rl.uncapped_mean(out)[0]), int(out.truncated.sum())
            scores[str(t)], capped[str(t)] = (score if math.isfinite(score) else None), cut
            print(
                f"{rule}: {noise} seed {seed} generation {t}: {score:,.0f} rows, {cut} of {GAMES} games capped, "
                f"{shares[-1]:.0%} in training, {time.perf_counter() - began:.0f} s",
                flush=True,
            )
    return {
        "rows": scores,
        "capped games of the evaluation": capped,
        "capped share in training, most": max(shares),
        "placements": int(carry[1].steps),
        "seconds": round(time.perf_counter() - began, 1),
    }


def results() -> dict:
    figures = _measure.load("tetris")
    figures.pop("machine", None)
    return figures


def run_of(figures: dict, rule: str, noise: str) -> dict:
    """The seeds of one setting, in `figures`."""
    return figures.setdefault("runs", {}).setdefault(rule, {}).setdefault(noise, {})


def played(weights: Any, games: int, pieces: int) -> tuple[Any, Any]:
    """Compiled games of these weights on so many lanes, `(key) -> Episodes`, and the policy's parameters."""
    env = jaxes.envs.make("jaxes/tetris", max_steps=pieces)
    policy = rl.values(env)
    shape = jax.eval_shape(policy.init, jax.random.key(0))
    params = jax.tree.map(lambda x: jnp.asarray(weights, x.dtype).reshape(x.shape), shape)
    return jax.jit(lambda key: rl.evaluation(env, policy, episodes=games)(params, None, key))


def record(games: int = 64) -> dict:
    """Rows a game of the weights that mdptetris publishes as its best."""
    out = played(RECORD, games, CAP)(jax.random.key(0))
    mean, error = rl.uncapped_mean(out)
    return {"rows": float(mean), "standard error": float(error), "capped games": int(out.truncated.sum()), "of": games}


def speed(python: str, lanes: int = 64, steps: int = 2000, rounds: int = 9) -> dict:
    """Placements a second, each the best of all; with jumanji's beside it, if that interpreter has it."""
    play = played(RECORD, lanes, steps)
    placed = int(play(jax.random.key(0)).lengths.sum())
    row = _measure.interleaved({"play": lambda: play(jax.random.key(0))}, rounds)["play"]
    out = {"lanes": lanes, "placements a second": {"best": placed / row["min"], "median": placed / row["median"]}}
    settings = json.dumps({"weights": RECORD, "lanes": lanes, "steps": steps // 20, "rounds": rounds})
    script = pathlib.Path(__file__).parent / "_jumanji.py"
    done = subprocess.run([python, script, settings], capture_output=True, text=True, check=False)
    if done.returncode:
        print("no jumanji:", done.stderr.strip().splitlines()[-1])
        return out
    other = json.loads(done.stdout.splitlines()[-1])
    ratio = out["placements a second"]["median"] / other["median"]
    return {**out, "jumanji's placements a second": other, "times jumanji's": ratio}


def medians(figures: dict, rule: str, noise: str) -> dict[int, float]:
    """The median of the seeds by generation."""
    runs = run_of(figures, rule, noise).values()
    return {int(t): float(np.median([run["rows"][t] for run in runs])) for t in next(iter(runs), {"rows": {}})["rows"]}


def bounds(figures: dict) -> dict:
    """What is asked, beside what was measured."""
    out = {}
    for rule in RULES:
        constant, none = (medians(figures, rule, noise) for noise in ("constant", "none"))
        for t, (low, high) in BANDS.items():
            if t in constant:
                row = {"measured": constant[t], "at_least": low, "at_most": high}
                out[f"{rule}: rows with constant noise, generation {t}"] = row
        if none:
            out[f"{rule}: rows without noise, generation 40"] = {"measured": none[40], "at_most": 1_000}
        if none and constant:
            ratio = constant[40] / none[40]
            out[f"{rule}: with constant noise / without, generation 40"] = {"measured": ratio, "at_least": 50}
    if "speed" in figures:
        rate = figures["speed"]["placements a second"]["median"]
        out["placements a second"] = {"measured": rate, "at_least": 150_000}
        if "times jumanji's" in figures["speed"]:
            out["placements a second / jumanji's"] = {"measured": figures["speed"]["times jumanji's"], "at_least": 20}
    for row in out.values():
        row["reached"] = row.get("at_least", -math.inf) <= row["measured"] <= row.get("at_most", math.inf)
    return out


def draw(figures: dict) -> None:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(11, 5), layout="constrained")
    for axes, rule in zip(picture.subplots(1, len(RULES), sharey=True), RULES):
        for i, noise in enumerate(NOISES):
            runs = run_of(figures, rule, noise)
            if runs:
                t = [int(each) for each in next(iter(runs.values()))["rows"]]
                rows = np.maximum([list(run["rows"].values()) for run in runs.values()], 1)
                axes.semilogy(
                    t,
                    np.median(rows, axis=0),
                    color=f"C{i}",
                    label=f"{noise.replace('none', 'no')} noise, {len(runs)} seeds",
                )
                axes.fill_between(t, rows.min(axis=0), rows.max(axis=0), color=f"C{i}", alpha=0.15, linewidth=0)
            known = {t: x for t, x in PUBLISHED[noise].items() if t <= 40}
            axes.semilogy(known.keys(), known.values(), "o--", color=f"C{i}", markersize=4, linewidth=0.8)
        axes.set_title(f"full rows above the board: {rule}", fontsize="medium")
        axes.set_xlabel("generation")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper left")
    picture.axes[0].set_ylabel("rows of a game")
    picture.suptitle("Tetris: the mean after each generation, median and range; dashed: medians of Thiery and Scherrer")
    picture.savefig(_measure.RESULTS / "tetris.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rule", nargs="*", choices=RULES, default=list(RULES))
    parser.add_argument("--noise", nargs="*", choices=NOISES, default=list(NOISES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--speed", action="store_true", help="measure speed and the published weights only")
    parser.add_argument("--jumanji", default=sys.executable, metavar="PYTHON", help="an interpreter that has jumanji")
    parser.add_argument("--draw", action="store_true", help="only draw, from the results")
    args = parser.parse_args()
    settings = () if args.speed or args.draw else itertools.product(args.rule, args.noise, range(args.seeds))
    for rule, noise, seed in settings:
        if str(args.generations) not in run_of(results(), rule, noise).get(str(seed), {"rows": {}})["rows"]:
            row = learn(rule, noise, seed, args.generations)
            figures = results()  # anew: other seeds may be running beside this one
            run_of(figures, rule, noise)[str(seed)] = row
            _measure.save("tetris", figures)
    measured = {} if args.draw else {"published weights": record(), "speed": speed(args.jumanji)}
    figures = {**results(), **measured}
    setting = {"population_size": POPULATION, "sigma": SIGMA, "elite_fraction": ELITES, "cap": CAP, "games": GAMES}
    figures = {"setting": setting, "bounds": bounds(figures), **{k: figures[k] for k in figures if k in PARTS}}
    print(_measure.save("tetris", figures))
    draw(figures)
    for what, bound in figures["bounds"].items():
        print("ok  " if bound["reached"] else "MISS", what, bound)


if __name__ == "__main__":
    main()
