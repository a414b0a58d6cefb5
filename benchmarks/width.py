"""Scores of wider and narrower networks after equally many generations.

Salimans et al. 2017, section 3.2, observe slightly better results with larger networks, but a larger one that computes
the same function also needs a smaller sigma and learning rate. So each width is run with the same few of both, and
widths are compared at equal ones as well as each at its best.

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
AT = (5, 10, 15)  # generations at which scores are compared
BOUND = 0.95
POPULATION, SIGMA, LEARNING_RATE = 64, 0.1, 0.02
FACTORS = (0.5, 1, 2)  # of sigma and learning rate


def learn(width: int, factor: float, seeds: int) -> dict:
    """Curves of one width, with sigma and learning rate multiplied by `factor`."""
    began = time.perf_counter()
    env = jaxes.envs.make(ENV)
    policy = rl.mlp(env, hidden=(width, width), head="categorical")
    strategy = jaxes.open_es(POPULATION, factor * SIGMA, learning_rate=factor * LEARNING_RATE)
    curves = _learning.curves(env, policy, strategy, generations=AT[-1], seeds=seeds)
    median = np.median(curves, axis=0)
    row = {
        "parameters": ravel_pytree(policy.init(jax.random.key(0)))[0].size,
        "median score after": {str(t): float(median[t - 1]) for t in AT},
        "mean of seeds and generations": float(curves.mean()),
        "seconds": round(time.perf_counter() - began, 1),
        **_learning.summary(curves),
    }
    print(width, factor, row["median score after"], row["mean of seeds and generations"], row["seconds"], flush=True)
    return row


def ratios(narrow: dict, wide: dict) -> dict[str, float]:
    """Scores of the wide network over those of the narrow one, by generation."""
    scores = narrow["median score after"]
    return {t: wide["median score after"][t] / score for t, score in scores.items()}


def measure(seeds: int) -> dict:
    rows = {str(width): {str(factor): learn(width, factor, seeds) for factor in FACTORS} for width in WIDTHS}
    best = {width: max(each, key=lambda f: each[f]["mean of seeds and generations"]) for width, each in rows.items()}
    bounds, alike = {}, {}
    for narrow, wide in itertools.pairwise(rows):
        by_generation = ratios(rows[narrow][best[narrow]], rows[wide][best[wide]])
        for t, measured in by_generation.items():
            what = f"median score after {t} generations, width {wide} / width {narrow}, each at its best step"
            bounds[what] = {"measured": measured, "at_least": BOUND, "reached": measured >= BOUND}
        alike[f"{wide} / {narrow}"] = {f: ratios(rows[narrow][f], rows[wide][f]) for f in rows[wide]}
    setting = {"env": ENV, "population_size": POPULATION, "sigma": SIGMA, "learning_rate": LEARNING_RATE}
    setting |= {"factors of both": FACTORS, "seeds": seeds}
    return {"setting": setting, "bounds": bounds, "best factor": best, "ratios at equal factors": alike, "widths": rows}


def draw(figures: dict) -> None:
    from matplotlib.figure import Figure

    setting, widths = figures["setting"], figures["widths"]
    factors = next(iter(widths.values()))
    picture = Figure(figsize=(12, 4.2), layout="constrained")
    for axes, factor in zip(picture.subplots(1, len(factors), sharey=True), factors, strict=True):
        for i, (width, rows) in enumerate(widths.items()):
            star = ", its best" if figures["best factor"][width] == factor else ""
            label = f"{width}-{width}: {rows[factor]['parameters']} parameters{star}"
            _learning.band(axes, rows[factor], f"C{i}", label)
        sigma, rate = (float(factor) * setting[name] for name in ("sigma", "learning_rate"))
        axes.set_title(f"sigma {sigma:g}, learning rate {rate:g}", fontsize="medium")
        axes.set_xlabel("generations")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="x-small", loc="lower right")
    picture.axes[0].set_ylabel("return")
    picture.suptitle(f"{setting['env']}: median and range of {setting['seeds']} seeds")
    picture.savefig(_measure.RESULTS / "width.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
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
