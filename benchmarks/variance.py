"""The variance of two gradient estimates against the length of the episode (Salimans et al. 2017, section 3.1).

The estimate of evolution strategies has noise in the parameters and multiplies a return by one score; that of the
policy gradient (REINFORCE) has noise in the actions and multiplies a return by a sum of as many scores as there are
steps. Both are taken at the same parameters from equally many episodes with the same shaping, which centers the returns
and scales them to variance 1, so that what is left is the variance of the scores and their correlation with the return.
The paper supposes that this correlation is low and that both returns vary alike; the results say how far that holds.
Antithetic pairs are shown too: the more of the return is due to the noise and not to the start, the more they vary,
up to twice as much as independent members, whatever the length.

python benchmarks/variance.py [--draw]; writes benchmarks/results/variance.json and .png in a few minutes.
"""

import argparse
import functools

import _measure
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import jaxes
from jaxes import rl

ENV = "gymnax/Pendulum-v1"  # never ends before the time limit
LENGTHS = (10, 20, 50, 100, 200, 500, 1000)
HIDDEN = (16,)
EPISODES = 128  # of one estimate
ESTIMATES = 200
SIGMA = 0.02  # of the noise in the parameters
ACTION_NOISE = 0.5  # of the noise in the actions, which go from -2 to 2
SHAPING = jaxes.shaping.z_score()
PRODUCT = "variance / product of the variances of return and score"  # 1 if they are independent
SLOPES = {"evolution strategies": (-0.15, 0.15), "policy gradient": (0.7, 1.3)}


def evolution(env, policy, steps: int, antithetic: bool = False):
    """`(params, key) -> (gradient, returns, parts)` by a generation of `jaxes.open_es`."""
    strategy = jaxes.open_es(EPISODES, SIGMA, tx=optax.sgd(1.0), shaping=SHAPING, antithetic=antithetic)
    problem = rl.rollout(env, policy, max_steps=steps, normalize=False, seeds="independent", mode="scan")

    def estimate(params, key):
        before = strategy.init(key, params)
        population = strategy.ask(before)
        ask = lambda ids=None: population
        start, play = jax.random.split(key)
        returns, _ = problem.evaluate(problem.init(start), play, ask, jnp.arange(EPISODES))
        after, _ = strategy.tell(before, returns)
        change = lambda new: ravel_pytree(jax.tree.map(jnp.subtract, new, before.mean))[0]
        scores = jax.vmap(change)(population) / SIGMA**2
        return change(after.mean), returns, {"score": jnp.mean(jnp.sum(scores**2, axis=1))}

    return estimate


def policy_gradient(env, policy, steps: int):
    """The same by REINFORCE: the actions are normal around the policy's, with a standard deviation of ACTION_NOISE."""

    def episode(params, key):
        first, noise = jax.random.split(key)

        def step(carry, t):
            state, score, total = carry
            z = jax.random.normal(jax.random.fold_in(noise, t), env.action.low.shape)
            mean, pull = jax.vjp(lambda params: policy.act(params, (), state.observation)[0], params)
            term = ravel_pytree(pull(z / ACTION_NOISE)[0])[0]
            state = env.step(state, jnp.clip(mean + ACTION_NOISE * z, env.action.low, env.action.high))
            return (state, score + term, total + state.reward), (z[0], jnp.sum(term**2))

        start = (env.reset(first), jnp.zeros(ravel_pytree(params)[0].shape), jnp.float32(0))
        (_, score, total), (z, squares) = jax.lax.scan(step, start, jnp.arange(steps))
        return score, total, z, jnp.sum(squares)

    def estimate(params, key):
        scores, returns, z, squares = jax.vmap(functools.partial(episode, params))(jax.random.split(key, EPISODES))
        weights = SHAPING(returns)
        parts = {
            "score": jnp.mean(jnp.sum(scores**2, axis=1)),
            "score's steps": jnp.mean(squares),
            "noise and return": weights @ z / EPISODES,
        }
        return weights @ scores / EPISODES, returns, parts

    return estimate


def measured(estimate):
    """`(params, key) -> figures`: the variance of an estimate over keys, and what it is made of."""
    program = jax.jit(lambda params, keys: jax.lax.map(functools.partial(estimate, params), keys))

    def measure(params, key) -> dict[str, float]:
        out = program(params, jax.random.split(key, ESTIMATES))
        gradients, returns, parts = jax.tree.map(lambda x: np.asarray(x, float), out)
        means = {name: part.mean(axis=0) for name, part in parts.items()}
        variance = float(gradients.var(axis=0, ddof=1).sum())
        row = {
            "variance": variance,
            "squared norm of the mean": float((gradients.mean(axis=0) ** 2).sum() - variance / ESTIMATES),
            "variance of the returns": float(returns.var()),
            PRODUCT: variance * EPISODES / float(means["score"]),
        }
        if "score's steps" in means:
            linear = means["noise and return"]
            # 1 for uncorrelated terms
            row["variance of the score / sum over steps"] = float(means["score"] / means["score's steps"])
            row["largest correlation of a step's noise and the return"] = float(np.abs(linear).max())
            by_chance = linear.size / returns.size
            row["share of the return's variance linear in the noise"] = float((linear**2).sum() - by_chance)
        return row

    return measure


ESTIMATORS = {
    "evolution strategies": evolution,
    "evolution strategies, antithetic": functools.partial(evolution, antithetic=True),
    "policy gradient": policy_gradient,
}


def slope(rows: list[dict[str, float]], what: str) -> float:
    """Of a line through the logarithms of `what` and of the lengths."""
    return float(np.polyfit(np.log(LENGTHS), np.log([row[what] for row in rows]), 1)[0])


def measure(seeds: int) -> dict:
    env = jaxes.envs.make(ENV)
    policy = rl.mlp(env, hidden=HIDDEN)
    params = [policy.init(jax.random.key(seed)) for seed in range(seeds)]
    tables = [{name: [] for name in ESTIMATORS} for _ in params]
    for steps in LENGTHS:
        for name, estimator in ESTIMATORS.items():
            measure_one = measured(estimator(env, policy, steps))
            for seed, table in enumerate(tables):
                row = measure_one(params[seed], jax.random.key(1000 + seed))
                table[name].append(row)
                print(seed, steps, name, row, flush=True)
    runs = [
        {
            "seed": seed,
            "slopes": {name: slope(rows, "variance") for name, rows in table.items()},
            "slopes of the returns' variance": {
                name: slope(rows, "variance of the returns") for name, rows in table.items()
            },
            "rows": table,
        }
        for seed, table in enumerate(tables)
    ]
    bounds = {}
    for name, (low, high) in SLOPES.items():
        slopes = [run["slopes"][name] for run in runs]
        reached = all(low <= each <= high for each in slopes)
        bounds[name] = {"slopes": slopes, "at_least": low, "at_most": high, "reached": reached}
    setting: dict = {"env": ENV, "hidden": HIDDEN, "episodes": EPISODES, "estimates": ESTIMATES}
    setting |= {"sigma": SIGMA, "action_noise": ACTION_NOISE, "shaping": "z_score"}
    setting["parameters"] = ravel_pytree(params[0])[0].size
    return {"setting": setting, "lengths": LENGTHS, "bounds": bounds, "premises": premises(tables), "runs": runs}


def premises(tables: list[dict[str, list[dict[str, float]]]]) -> dict[str, list[float]]:
    """Lowest and highest value, of all policies and lengths, of what the argument takes for 1 or for small."""
    span = lambda values: [float(min(values)), float(max(values))]
    es, pg = ([row for table in tables for row in table[name]] for name in SLOPES)
    each = lambda what: span([row[what] for row in pg])
    return {
        "variance of the returns, evolution strategies / policy gradient": span(
            [one["variance of the returns"] / other["variance of the returns"] for one, other in zip(es, pg)]
        ),
        "evolution strategies: " + PRODUCT: span([row[PRODUCT] for row in es]),
        "policy gradient: " + PRODUCT: each(PRODUCT),
        **{name: each(name) for name in pg[0] if name not in es[0]},
    }


def draw(figures: dict) -> None:
    from matplotlib.figure import Figure

    lengths, runs = figures["lengths"], figures["runs"]
    picture = Figure(figsize=(8, 5), layout="constrained")
    axes = picture.subplots()
    for color, name in zip(("tab:blue", "tab:cyan", "tab:orange"), runs[0]["rows"], strict=True):
        slopes = [run["slopes"][name] for run in runs]
        for i, run in enumerate(runs):
            low, high = (round(x, 2) + 0.0 for x in (min(slopes), max(slopes)))
            label = f"{name}: slope {low:.2f} to {high:.2f}" if i == 0 else None
            axes.loglog(
                lengths,
                [row["variance"] for row in run["rows"][name]],
                color=color,
                marker="o",
                markersize=4,
                linewidth=1.2,
                alpha=0.8,
                label=label,
            )
    setting = figures["setting"]
    axes.set_xlabel("steps of an episode")
    axes.set_ylabel("variance of the gradient estimate, returns of variance 1")
    axes.set_title(f"{setting['env']}, {setting['episodes']} episodes an estimate, {len(runs)} random policies")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    picture.savefig(_measure.RESULTS / "variance.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="random policies")
    parser.add_argument("--draw", action="store_true", help="only draw, from the results")
    args = parser.parse_args()
    if not args.draw:
        print(_measure.save("variance", measure(args.seeds)))
    figures = _measure.load("variance")
    draw(figures)
    for name, bound in figures["bounds"].items():
        print("ok  " if bound["reached"] else "MISS", name, bound)


if __name__ == "__main__":
    main()
