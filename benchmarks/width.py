"""Scores of wider and narrower networks after equally many generations, all numbers of the strategy alike.

Salimans et al. 2017, section 3.2, observe slightly better results with larger networks. With the same sigma and
learning rate a wider network moves further, so as a control the narrower ones are also given larger ones.

python benchmarks/width.py [--draw]; writes benchmarks/results/width.json and .png in some minutes.
"""

import argparse
import itertools
import time

import _learning
import _measure
import jax
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxes
from jaxes import rl

ENV = "gymnax/CartPole-v1"  # the return is the number of steps that the pole stays up, 500 at most
WIDTHS = (16, 64, 256)  # of both hidden layers
AT = (5, 10, 15, 20)  # generations at which scores are compared
BOUND = 0.95
POPULATION, SIGMA, LEARNING_RATE = 64, 0.1, 0.02
STEPS = (2, 4)  # of the control: factors of sigma and learning rate


def learn(width: int, factor: int, seeds: int) -> dict:
    """Curves of one width, with sigma and learning rate multiplied by `factor`."""
    began = time.perf_counter()
    env = jaxes.envs.make(ENV)
    policy = rl.mlp(env, hidden=(width, width), head="categorical")
    strategy = jaxes.open_es(POPULATION, factor * SIGMA, learning_rate=factor * LEARNING_RATE)
    curves = _learning.curves(env, policy, strategy, generations=AT[-1], seeds=seeds)
    median = np.median(curves, axis=0)
    row = {
        "parameters": ravel_pytree(policy.init(jax.random.key(0)))[0].size,
        "score after": {str(t): float(median[t - 1]) for t in AT},
        "mean over generations": float(curves.mean()),
        "seconds": round(time.perf_counter() - began, 1),
        **_learning.summary(curves),
    }
    print(width, factor, row["score after"], row["seconds"], flush=True)
    return row


def measure(seeds: int) -> dict:
    rows = {str(width): learn(width, 1, seeds) for width in WIDTHS}
    larger = {
        f"{width}, sigma and learning rate x {factor}": learn(width, factor, seeds)
        for width in WIDTHS[:-1]
        for factor in STEPS
    }
    bounds = {}
    for narrow, wide in itertools.pairwise(WIDTHS):
        scores = [rows[str(width)]["score after"] for width in (narrow, wide)]
        ratios = {t: scores[1][t] / scores[0][t] for t in scores[0]}
        what = f"median score of width {wide} / width {narrow}, smallest of generations {', '.join(ratios)}"
        measured = min(ratios.values())
        bounds[what] = {"measured": measured, "at_least": BOUND, "reached": measured >= BOUND, "ratios": ratios}
    setting = {"env": ENV, "population_size": POPULATION, "sigma": SIGMA, "learning_rate": LEARNING_RATE}
    return {"setting": setting | {"seeds": seeds}, "bounds": bounds, "widths": rows, "control": larger}


def draw(figures: dict) -> None:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(8, 5), layout="constrained")
    axes = picture.subplots()
    for i, (width, row) in enumerate(figures["widths"].items()):
        _learning.band(axes, row, f"C{i}", f"{width}-{width}: {row['parameters']} parameters")
    generations = range(1, AT[-1] + 1)
    for name, row in figures["control"].items():
        width, factor = name.split(",")[0], name.split()[-1]
        color = f"C{list(figures['widths']).index(width)}"
        style = "--" if factor == str(STEPS[0]) else ":"
        label = f"{width}-{width}, {factor} times the step"
        axes.plot(generations, row["median"], color=color, linestyle=style, linewidth=1, label=label)
    setting = figures["setting"]
    axes.set_xlabel("generations")
    axes.set_ylabel("return")
    axes.set_title(f"{setting['env']}: median of {setting['seeds']} seeds, and range")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    picture.savefig(_measure.RESULTS / "width.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draw", action="store_true", help="only draw, from the results")
    args = parser.parse_args()
    if not args.draw:
        print(_measure.save("width", measure(args.seeds)))
    figures = _measure.load("width")
    draw(figures)
    for what, bound in figures["bounds"].items():
        print("ok  " if bound["reached"] else "MISS", what, bound)


if __name__ == "__main__":
    main()
