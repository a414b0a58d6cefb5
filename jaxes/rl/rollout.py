"""Reinforcement learning as a problem: the fitness of a member is the return of its episodes."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.counter import Counter
from jaxes.envs.protocol import Env
from jaxes.problem import Problem
from jaxes.rl import normalizer as norm
from jaxes.rl.cap import Cap
from jaxes.rl.cap import cap as read_cap
from jaxes.rl.episodes import play
from jaxes.rl.policies import Policy

SEEDS = ("pair", "generation", "independent")


class State(NamedTuple):
    normalizer: norm.Normalizer | None  # None if observations are not normalized
    steps: Counter  # environment steps so far
    episodes: Counter
    truncated: Counter  # episodes ended by the time limit
    cap: Cap  # the time limit


class Sums(NamedTuple):
    moments: Any  # of the observations, or ()
    steps: jax.Array  # uint32[]
    episodes: jax.Array  # uint32[]
    truncated: jax.Array  # uint32[]


def rollout(
    env: Env,
    policy: Policy,
    *,
    episodes: int = 1,
    max_steps: int | None = None,
    cap: str | None = None,
    shift: float = 0.0,
    normalize: bool = True,
    seeds: Literal["pair", "generation", "independent"] = "pair",
    check_every: int = 25,
) -> Problem:
    """The problem of maximizing the return of episodes.

    Args:
        env: from `jaxes.envs.make`, or your own.
        policy: from `jaxes.rl.mlp` or `jaxes.rl.policy`.
        episodes: how many a member plays; its fitness is their mean return.
        max_steps: time limit of an episode; the environment's own by default.
        cap: "adaptive:START,THRESHOLD,RATIO": begin with a limit of START steps; it is multiplied by RATIO after a
            generation in which a share THRESHOLD of the episodes reached it, up to `max_steps`.
        shift: taken off every reward in training, so that surviving alone earns nothing (Mania et al. 2018, section 4:
            1 for hopper, walker and ant, 5 for humanoid). Evaluation never has it.
        normalize: give the policy observations normalized by running moments, which are frozen within a generation.
        seeds: who starts alike (common random numbers): "pair", both members of an antithetic pair; "generation", all
            members of a generation; "independent", nobody.
        check_every: steps between two looks at whether all episodes have ended.

    Returns:
        A `Problem` whose state is a `jaxes.rl.rollout.State`.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("brax/inverted_pendulum")
    >>> problem = rl.rollout(env, rl.mlp(env, hidden=()), max_steps=10)
    >>> int(problem.init(jax.random.key(0)).steps)
    0
    """
    for name, value in (("episodes", episodes), ("check_every", check_every), ("max_steps", max_steps)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be an int of 1 or more, got {value!r}")
    if seeds not in SEEDS:
        raise ValueError(f"seeds must be one of {', '.join(SEEDS)}; got {seeds!r}")
    limit = read_cap(cap, env.max_steps if max_steps is None else max_steps)
    check_every = min(check_every, int(limit.steps))

    def init(key):
        del key
        normalizer = norm.init(env.observation) if normalize else None
        return State(normalizer, Counter.zero(), Counter.zero(), Counter.zero(), limit)

    def evaluate(state, key, ask, ids):
        group = {"pair": ids // 2, "generation": jnp.zeros_like(ids), "independent": ids}[seeds]
        one = lambda g, j: jax.random.fold_in(jax.random.fold_in(key, g), j)
        keys = jax.vmap(lambda g: jax.vmap(lambda j: one(g, j))(jnp.arange(episodes)))(group)
        now = (state.normalizer, state.cap.limit)
        out = play(env, policy, ask(), keys, *now, probe=key, training=True, check_every=check_every)
        count = lambda x: jnp.sum(x, dtype=jnp.uint32)
        sums = Sums(out.moments, count(out.lengths), jnp.uint32(out.returns.size), count(out.truncated))
        fitness = out.returns - shift * out.lengths.astype(jnp.float32) if shift else out.returns
        return jnp.mean(fitness, axis=1), sums

    def update(state, sums):
        return State(
            norm.update(state.normalizer, sums.moments) if normalize else None,
            state.steps.plus(sums.steps),
            state.episodes.plus(sums.episodes),
            state.truncated.plus(sums.truncated),
            state.cap.update(sums.episodes, sums.truncated),
        )

    def counters(state):
        return {"steps": state.steps, "episodes": state.episodes, "truncated": state.truncated}

    return Problem(init, evaluate, update, counters)
