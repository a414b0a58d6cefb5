"""Learning curves at several frame skips (Salimans et al. 2017, section 4.4, figure 2; there of Pong).

Every action is held for 1, 2, 3 or 4 steps, so that an episode has fewer decisions; everything else stays. Returns are
sums over the unrepeated steps. Evolution strategies should need about as many generations at each.

python benchmarks/frame_skip.py [--draw]; writes benchmarks/results/frame_skip.json and .png in some minutes.
"""

import argparse
import math
import time

import _learning
import _measure
import numpy as np

import jaxes
from jaxes import rl

ENV = "gymnax/Acrobot-v1"  # the return is minus the number of steps until it has swung up, 500 at most
SKIPS = (1, 2, 3, 4)
TARGETS = (-100, -120, -150, -200)  # the first is what the task's authors take for solved, and that of the bound
BOUND = 2.0
POPULATION, SIGMA, LEARNING_RATE, HIDDEN = 128, 0.1, 0.02, (16, 16)


def learn(skip: int, generations: int, seeds: int) -> tuple[np.ndarray, float]:
    """Curves at one frame skip, and the seconds they took."""
    began = time.perf_counter()
    env = jaxes.envs.repeated(jaxes.envs.make(ENV), skip)
    policy = rl.mlp(env, hidden=HIDDEN, head="categorical")
    strategy = jaxes.open_es(POPULATION, SIGMA, learning_rate=LEARNING_RATE)
    curves = _learning.curves(env, policy, strategy, generations=generations, seeds=seeds)
    return curves, time.perf_counter() - began


def measure(generations: int, seeds: int) -> dict:
    skips = {}
    for skip in SKIPS:
        curves, seconds = learn(skip, generations, seeds)
        needed = {target: [_learning.reached(curve, target) for curve in curves] for target in TARGETS}
        skips[str(skip)] = {
            "generations": {
                str(target): {
                    "median": _finite(np.median(each)),
                    "seeds": [_finite(one) for one in each],
                }
                for target, each in needed.items()
            },
            "seconds": round(seconds, 1),
            **_learning.summary(curves),
        }
        print(skip, f"{seconds:.0f} s", skips[str(skip)]["generations"], flush=True)
    ratios = {}
    for target in map(str, TARGETS):
        medians = [row["generations"][target]["median"] for row in skips.values()]
        ratios[target] = None if None in medians else max(medians) / min(medians)
    first = ratios[str(TARGETS[0])]
    what = f"generations to {TARGETS[0]}, slowest / fastest frame skip"
    bounds = {what: {"measured": first, "at_most": BOUND, "reached": first is not None and first <= BOUND}}
    setting = {"env": ENV, "population_size": POPULATION, "sigma": SIGMA, "learning_rate": LEARNING_RATE}
    setting |= {"hidden": HIDDEN, "generations": generations, "seeds": seeds}
    return {"setting": setting, "bounds": bounds, "slowest / fastest, by target": ratios, "skips": skips}


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def draw(figures: dict) -> None:
    from matplotlib.figure import Figure

    target, setting = TARGETS[0], figures["setting"]
    picture = Figure(figsize=(8, 5), layout="constrained")
    axes = picture.subplots()
    for i, (skip, row) in enumerate(figures["skips"].items()):
        needed = row["generations"][str(target)]["median"]
        label = f"frame skip {skip}: {target} after {'-' if needed is None else f'{needed:g}'} generations"
        _learning.band(axes, row, f"C{i}", label)
    axes.axhline(target, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("generations")
    axes.set_ylabel("return in unrepeated steps")
    axes.set_title(f"{setting['env']}: median and range of {setting['seeds']} seeds")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    picture.savefig(_measure.RESULTS / "frame_skip.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--draw", action="store_true", help="only draw, from the results")
    args = parser.parse_args()
    if not args.draw:
        print(_measure.save("frame_skip", measure(args.generations, args.seeds)))
    figures = _measure.load("frame_skip")
    draw(figures)
    for what, bound in figures["bounds"].items():
        print("ok  " if bound["reached"] else "MISS", what, bound)


if __name__ == "__main__":
    main()
