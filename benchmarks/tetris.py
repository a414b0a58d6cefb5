"""Tetris learned by cross-entropy with noise (Szita & Lorincz 2006), beside the curves of Thiery & Scherrer (2009).

100 members a generation play one game each; the Gaussian is fitted to the best 10, and noise is added to its variance:
none, constant (4), or decreasing (5 - t / 10). After every fifth generation the mean plays 30 games. Their scores are
spread over four orders of magnitude, so games are capped, and capped ones are counted by the exponential estimator.

python benchmarks/tetris.py [--noise NAME ...] [--seeds N] [--generations N] [--speed] [--draw]
writes benchmarks/results/tetris.json (after every seed; what is there is not run again) and tetris.png. Hours.
"""

import argparse
import functools
import itertools
import math
import time

import _measure
import jax
import jax.numpy as jnp

import jaxes
from jaxes import rl

NOISES = {"none": 0.0, "constant": 4.0, "decreasing": lambda t: jnp.maximum(5 - t / 10, 0)}
RULES = {"rows go above the board": True, "they do not": False}  # where a piece reaches above it and fills rows
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rule", nargs="*", choices=RULES, default=list(RULES))
    parser.add_argument("--noise", nargs="*", choices=NOISES, default=list(NOISES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=40)
    args = parser.parse_args()
    for rule, noise, seed in itertools.product(args.rule, args.noise, range(args.seeds)):
        if str(args.generations) not in run_of(results(), rule, noise).get(str(seed), {"rows": {}})["rows"]:
            row = learn(rule, noise, seed, args.generations)
            figures = results()  # anew: other seeds may be running beside this one
            run_of(figures, rule, noise)[str(seed)] = row
            _measure.save("tetris", figures)


if __name__ == "__main__":
    main()
