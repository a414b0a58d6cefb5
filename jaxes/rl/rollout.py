"""Reinforcement learning as a problem: the fitness of a member is the return of its episodes."""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Env
from jaxes.problem import Problem
from jaxes.rl import normalizer as norm
from jaxes.rl.cap import Cap
from jaxes.rl.cap import cap as read_cap
from jaxes.rl.episodes import play
from jaxes.rl.policies.policy import Policy
from jaxes.rl.reward import pay as read_pay
from jaxes.schedules import Number, follow, start
from jaxes.support import keys
from jaxes.support.counter import Counter
from jaxes.support.keys import Stream

SEEDS = ("pair", "generation", "independent")
MODES = ("auto", "refill", "while", "scan")

# Lanes by default where episodes wait: on a CPU the parameters of so many members and their states stay in the caches
# (benchmarks/rollout.py); an accelerator takes about as long for a thousand lanes as for ten.
LANES = {"cpu": 64}
LANES_OF_ACCELERATORS = 8192


class State(NamedTuple):
    normalizer: norm.Normalizer | None  # None if observations are not normalized
    steps: Counter  # environment steps so far
    episodes: Counter
    truncated: Counter  # episodes ended by the time limit
    lane_steps: Counter  # steps that lanes took, those after an episode's end included
    generation: jax.Array  # int32[]: generations so far
    shift: jax.Array  # float32[]: taken off every reward
    cap: Cap  # the time limit


class Sums(NamedTuple):
    moments: Any  # of the observations, or ()
    steps: jax.Array  # uint32[]
    episodes: jax.Array  # uint32[]
    truncated: jax.Array  # uint32[]
    lane_steps: jax.Array  # uint32[]


def rollout(
    env: Env,
    policy: Policy,
    *,
    episodes: int = 1,
    least_steps: int = 0,
    max_steps: int | None = None,
    cap: str | int | None = None,
    clip_reward: tuple[float, float] | None = None,
    shift: Number = 0.0,
    alive_bonus: tuple[int, int, float] | None = None,
    normalize: bool | str = True,
    seeds: Literal["pair", "generation", "independent"] = "pair",
    mode: Literal["auto", "refill", "while", "scan"] = "auto",
    lanes: int | None = None,
    check_every: int = 8,
    workers: int | None = None,
    ray: str | None = None,
) -> Problem:
    """The problem of maximizing the return of episodes.

    Args:
        env: from `jaxes.envs.make`, or your own.
        policy: from `jaxes.rl.mlp` or `jaxes.rl.policy`.
        episodes: how many a member plays; its fitness is their mean return.
        least_steps: a member plays on, episode after episode, until it has had that many steps too (each of its
            `episodes` until it has had its part of them): a batch of n members closes with at least `n * episodes`
            episodes and `n * least_steps` steps (`episodes_per_batch` and `timesteps_per_batch` of OpenAI's code).
        max_steps: time limit of an episode; the environment's own by default.
        cap: a lower time limit in training: a number of steps, "2x_mean" or "adaptive:START,THRESHOLD,RATIO", see
            `jaxes.rl.cap.cap`.
        clip_reward: (low, high): in training, rewards below and above become these, before anything is taken off or
            added. Where an end costs more than an episode can earn at first (BipedalWalker takes 100 off for a fall),
            members learn to stand still; (-1, 1) lets them fall while they learn to walk. Infinite numbers leave a side
            open.
        shift: taken off every reward in training, so that surviving alone earns nothing (Mania et al. 2018, section 4:
            1 for hopper, walker and ant, 5 for humanoid); a number, or an optax schedule over generations.
        alive_bonus: (t0, t1, bonus), added to the rewards in training: nothing before step t0 of an episode, from t1
            on all of the bonus, linear in between (the `alive_bonus_schedule` of EvoTorch).
        normalize: give the policy observations normalized by running moments, which are frozen within a generation:
            True or "on", False or "off", "salimans" or "ars", see `jaxes.rl.normalizer.init`.
        seeds: who starts alike (common random numbers): "pair", both members of an antithetic pair; "generation", all
            members of a generation; "independent", nobody.
        mode: "refill" plays on some lanes, and a lane whose episode has ended takes the next member; "while" has a lane
            for every episode, until the last one ends; "scan" takes `max_steps` steps whatever happens. "auto" is
            "refill" where there are more episodes than lanes, else "while". Returns are the same in each.
        lanes: of "refill", at most the episodes of a population (of one of its blocks). Of an environment that runs on
            CPUs (`mujoco/`, `gymnasium/`): members that each process plays at once, 64 by default.
        check_every: steps between two looks at which episodes have ended.
        workers: processes that play an environment that runs on CPUs; one for each core by default, 0 plays in this
            process.
        ray: address of a Ray cluster whose actors are the workers, instead of processes of this machine: "HOST:6379",
            "ray://HOST:10001", or "auto". One for each CPU by default. The numbers are the same.

    The metrics of a run have the mean length of episodes, the share that the time limit ended, and the utilization: the
    share of the lanes' steps that belong to an episode. Evaluation (`jaxes.rl.evaluation`) has neither cap, clip,
    shift, bonus nor noise.

    Returns:
        A `Problem` whose state is a `jaxes.rl.rollout.State`.

    Raises:
        ValueError: for settings that make no sense; when evaluated, for more lanes than episodes.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("brax/inverted_pendulum")
    >>> problem = rl.rollout(env, rl.mlp(env, hidden=()), max_steps=10)
    >>> int(problem.init(jax.random.key(0)).steps)
    0
    """
    for name, value in (("workers", workers), ("ray", ray)):
        if env.lanes is None and value is not None:
            raise ValueError(f"{name} is for environments that run on CPUs, and {env.name} runs in compiled programs")
    if env.lanes is not None and mode in ("while", "scan"):
        raise ValueError(f"mode must be auto or refill for {env.name}, which runs on CPUs; got {mode!r}")
    counts = {"episodes": episodes, "check_every": check_every, "max_steps": max_steps, "lanes": lanes}
    for name, value in counts.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be an int of 1 or more, got {value!r}")
    if isinstance(least_steps, bool) or not isinstance(least_steps, int) or least_steps < 0:
        raise ValueError(f"least_steps must be an int of 0 or more, got {least_steps!r}")
    for name, value, known in (("seeds", seeds, SEEDS), ("mode", mode, MODES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    if mode in ("while", "scan") and (lanes is not None or least_steps):
        raise ValueError(f"lanes and least_steps need mode 'refill' or 'auto', got mode {mode!r}")
    preset = _preset(normalize)
    pay = read_pay(clip_reward, alive_bonus)
    most = env.max_steps if max_steps is None else max_steps
    limit = read_cap(cap, most)
    check_every = min(check_every, most)
    first_shift = start("shift", None, shift, jnp.float32, low=-math.inf)

    def init(key):
        del key
        normalizer = None if preset is None else norm.init(env.observation, preset)
        none = Counter.zero()
        return State(normalizer, none, none, none, none, jnp.int32(0), first_shift, limit)

    def episode_keys(key, ids):
        """key[ids, episodes]"""
        group = {"pair": ids // 2, "generation": jnp.zeros_like(ids), "independent": ids}[seeds]
        one = lambda g, j: jax.random.fold_in(jax.random.fold_in(key, g), j)
        return jax.vmap(lambda g: jax.vmap(lambda j: one(g, j))(jnp.arange(episodes)))(group)

    watch = 1.0 if preset is None else norm.PRESETS[preset].share

    def evaluate(state, key, ask, ids):
        episode = episode_keys(key, ids)
        out = play(
            env,
            policy,
            lambda which=None: ask() if which is None else ask(ids[which]),
            episode,
            state.normalizer,
            state.cap.limit,
            lanes=_lanes(mode, lanes, episode.size),
            scan_steps=most if mode == "scan" else None,
            check_every=check_every,
            least_steps=-(-least_steps // episodes),
            reward=lambda reward, t: pay(reward, t, state.shift, jnp),
            probe=keys.stream(key, Stream.PROBE),
            watch=watch,
            training=True,
        )
        count = lambda x: jnp.sum(x, dtype=jnp.uint32)
        sums = Sums(out.moments, count(out.lengths), count(out.episodes), count(out.truncated), out.lane_steps)
        return jnp.sum(out.returns, axis=1) * (1 / jnp.sum(out.episodes, axis=1).astype(jnp.float32)), sums

    def update(state, sums):
        return State(
            None if preset is None else norm.update(state.normalizer, sums.moments),
            state.steps.plus(sums.steps),
            state.episodes.plus(sums.episodes),
            state.truncated.plus(sums.truncated),
            state.lane_steps.plus(sums.lane_steps),
            state.generation + 1,
            follow(shift, state.shift, state.generation + 1),
            state.cap.update(sums.episodes, sums.truncated, sums.steps),
        )

    def counters(state):
        names = ("steps", "episodes", "truncated", "lane_steps")
        return {name: getattr(state, name) for name in names}

    ratios = {
        "episode_length": ("steps", "episodes"),
        "truncated_share": ("truncated", "episodes"),
        "utilization": ("steps", "lane_steps"),
    }
    if env.lanes is None:
        return Problem(init, evaluate, update, counters, ratios)
    from jaxes.rl.host.engine import Engine, evaluating

    engine = Engine(env, policy, training=True, workers=workers, lanes=lanes, ray=ray)

    def start_and_init(key):
        engine.pool().start()  # workers get ready while the strategy's programs are compiled
        return init(key)

    evaluate = evaluating(engine, episode_keys, episodes, least_steps, pay, watch)
    return Problem(start_and_init, evaluate, update, counters, ratios, host=True, listen=engine.listen)


def _lanes(mode: str, lanes: int | None, episodes: int) -> int | None:
    """How many lanes play `episodes` episodes; None for one each."""
    if mode in ("while", "scan"):
        return None
    if lanes is None:
        lanes = min(LANES.get(jax.default_backend(), LANES_OF_ACCELERATORS), episodes)
    if lanes > episodes:
        raise ValueError(f"lanes must be at most the episodes to play, {episodes} in a block of members; got {lanes}")
    return lanes


def _preset(normalize: bool | str) -> str | None:
    name = normalize if isinstance(normalize, str) else "on" if normalize else "off"
    if name not in (*norm.PRESETS, "off"):
        raise ValueError(
            f"normalize must be one of {', '.join((*norm.PRESETS, 'off'))}, True or False; got {normalize!r}"
        )
    return None if name == "off" else name
