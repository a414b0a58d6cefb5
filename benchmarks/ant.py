"""Brax ant (spring) to a return of 3000: jaxes, evosax's Open_ES, Brax's own ES trainer. Wants an accelerator.

python benchmarks/ant.py [--seconds 400]: runs one side, the next that has no result, for that
many seconds at most; with the evaluations, for which the clock stands, that is under ten minutes, so three calls make
the figure (`--side NAME` repeats one). Writes benchmarks/results/ant.json and ant.png: the score against seconds,
compiling included.

The same for all sides: the environment, the number of members, a tanh network of four layers of 32, one episode a
member, normalized observations, and the evaluator, which plays full episodes of the mean's policy without noise.

- *jaxes*: `open_es`, sigma 0.05, Adam at 0.02.
- *evosax*: the settings of its notebook on ant: Adam at 0.01 falling to a tenth and sigma 0.05 falling to a fifth in
  512 generations.
- *brax*: no settings for ant are published; centered ranks, sigma 0.05, Adam at 0.01, the trainer's defaults otherwise.
  Its policies draw their actions in training.
"""

import argparse
import dataclasses
import functools
from typing import Any

import _measure
import _racing
import jax.numpy as jnp
from _racing import Task, Track

import jaxes
from jaxes import rl
from jaxes.training.limits import Limits

RATES = {"jaxes": 0.02, "evosax": 0.01, "brax": 0.01}


def brax_side(task: Task, track: Track) -> None:
    """Brax's ES trainer; the track is asked after every generation."""
    from brax import envs
    from brax.training.agents.es.train import FitnessShaping

    generation, trained, compiled = 0, 0.0, 0.0

    def after(metrics, parameters):
        nonlocal generation, trained, compiled
        moments, params = parameters
        generation += 1
        took = metrics["training/walltime"] - trained
        trained += took
        if generation == 2:  # it compiles in both of them
            compiled = track.seconds
        elif generation == 3:
            track.compile_s = compiled - 2 * took
        steps = generation * task.population_size * task.episode_length
        return track.note(generation, steps, params, _racing.normalizer(moments.mean, moments.std))

    track.start()
    _racing.brax_es(
        envs.get_environment(task.env.removeprefix("brax/"), backend="spring"),
        after,
        episode_length=task.episode_length,
        population_size=task.population_size // 2,  # pairs
        learning_rate=task.learning_rate,
        perturbation_std=task.sigma,
        fitness_shaping=FitnessShaping.CENTERED_RANK,
        normalize_observations=True,
        network_factory=_networks(task),
        seed=task.seed,
    )


def brax_policy(task: Task):
    """The most likely action of Brax's network, as a policy of an environment."""

    def policy(env: jaxes.envs.Env) -> rl.Policy:
        made = _networks(task)(env.observation.shape[0], env.action.low.size)
        network, actions = made.policy_network, made.parametric_action_distribution

        def act(params, memory, observation, key=None):
            return actions.mode(network.apply((), params, observation)), memory

        return rl.Policy(network.init, act)

    return policy


def _networks(task: Task):
    from brax.training.agents.es import networks

    return functools.partial(networks.make_es_networks, hidden_layer_sizes=task.hidden, activation=jnp.tanh)


SIDES = {"jaxes": _racing.jaxes_side, "evosax": _racing.evosax_side, "brax": brax_side}


def play(side: str, task: Task, limits: Limits, every: float, episodes: int) -> dict[str, Any]:
    """One side's run."""
    track = Track(_racing.evaluator(task, episodes, brax_policy(task) if side == "brax" else None), limits, every)
    SIDES[side](task, track)
    return {"task": dataclasses.asdict(task), **track.figures()}


def report(runs: dict[str, Any], target: float) -> None:
    """Write the results and the picture."""
    reached = lambda run: next((row["seconds"] for row in run["rows"] if row["evaluation"] >= target), None)
    seconds = {side: reached(runs[side]) for side in SIDES if side in runs}
    print(_measure.save("ant", {"target": target, "seconds_to_target": seconds, "runs": runs}), seconds)
    panels = {"brax/ant": {side: [runs[side]] for side in seconds}}
    _racing.draw(panels, _measure.RESULTS / "ant.png", "compiling included", target)


def quick() -> None:
    """Two generations of every side."""
    for side in SIDES:
        task = Task("brax/ant", (4,), 4, 0.05, RATES[side], episode_length=3, falling=2)
        run = play(side, task, Limits(generations=2, target=1e9), 0.0, episodes=2)
        assert [row["generation"] for row in run["rows"]] == [1, 2], run
    print("ok")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=SIDES, help="by default the next one without a result")
    parser.add_argument("--seconds", type=float, default=400.0, help="of training, compiling included")
    parser.add_argument("--target", type=float, default=3000.0)
    parser.add_argument("--population-size", type=int, default=1024)
    parser.add_argument("--sigma", type=float, default=0.05)
    parser.add_argument("--learning-rate", type=float, help="of every side, instead of its own")
    parser.add_argument("--episode-length", type=int, default=1000, help="in training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two evaluations")
    parser.add_argument("--quick", action="store_true", help="check the script: two generations of each side")
    parser.add_argument("--cpu", action="store_true", help="run it on a CPU all the same")
    args = parser.parse_args()
    if args.quick:
        return quick()
    if not args.cpu and _racing.wants_accelerator("ant"):
        return None
    _racing.without_cache()
    runs = _measure.load("ant").get("runs", {})
    side = args.side or next((name for name in SIDES if name not in runs), None)
    if side is None:
        print("every side has a result; --side repeats one")
        return None
    rate = RATES[side] if args.learning_rate is None else args.learning_rate
    task = Task(
        "brax/ant", (32,) * 4, args.population_size, args.sigma, rate, args.episode_length, args.seed, falling=512
    )
    runs[side] = play(side, task, Limits(seconds=args.seconds, target=args.target), args.every, episodes=64)
    return report(runs, args.target)


if __name__ == "__main__":
    main()
