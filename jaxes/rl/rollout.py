"""Reinforcement learning as a problem: the fitness of a member is the return of its episodes."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Env
from jaxes.problem import Problem
from jaxes.rl import accounting, settings
from jaxes.rl import normalizer as norm
from jaxes.rl.accounting import State, Sums
from jaxes.rl.episodes import play
from jaxes.rl.policies.policy import Policy
from jaxes.schedules import Number
from jaxes.support import keys
from jaxes.support.keys import Stream


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
        A `Problem` whose state is a `jaxes.rl.accounting.State`.

    Raises:
        ValueError: for settings that make no sense; when evaluated, for more lanes than episodes.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("brax/inverted_pendulum")
    >>> problem = rl.rollout(env, rl.mlp(env, hidden=()), max_steps=10)
    >>> int(problem.init(jax.random.key(0)).steps)
    0
    """
    given = settings.read(
        env,
        episodes=episodes,
        least_steps=least_steps,
        max_steps=max_steps,
        cap=cap,
        clip_reward=clip_reward,
        shift=shift,
        alive_bonus=alive_bonus,
        normalize=normalize,
        seeds=seeds,
        mode=mode,
        lanes=lanes,
        check_every=check_every,
        workers=workers,
        ray=ray,
    )

    def init(key):
        del key
        normalizer = None if given.preset is None else norm.init(env.observation, given.preset)
        return accounting.begin(normalizer, given.shift, given.cap)

    def episode_keys(key, ids):
        """key[ids, episodes]"""
        group = {"pair": ids // 2, "generation": jnp.zeros_like(ids), "independent": ids}[seeds]
        one = lambda g, j: jax.random.fold_in(jax.random.fold_in(key, g), j)
        return jax.vmap(lambda g: jax.vmap(lambda j: one(g, j))(jnp.arange(episodes)))(group)

    def evaluate(state, key, ask, ids):
        episode = episode_keys(key, ids)
        out = play(
            env,
            policy,
            lambda which=None: ask() if which is None else ask(ids[which]),
            episode,
            state.normalizer,
            state.cap.limit,
            lanes=settings.lanes_for(episode.size, mode, lanes),
            scan_steps=given.most if mode == "scan" else None,
            check_every=given.check_every,
            least_steps=given.least_steps,
            reward=lambda reward, t: given.pay(reward, t, state.shift, jnp),
            probe=keys.stream(key, Stream.PROBE),
            watch=given.watch,
            training=True,
        )
        return accounting.settle(out)

    def update(state: State, sums: Sums) -> State:
        return accounting.update(state, sums, shift)

    if env.lanes is None:
        return Problem(init, evaluate, update, accounting.counters, accounting.RATIOS)
    from jaxes.rl.host.engine import Engine, evaluating  # needs jax.export, and with it a package of its own

    engine = Engine(env, policy, training=True, workers=workers, lanes=lanes, ray=ray)

    def start_and_init(key):
        engine.pool().start()  # workers get ready while the strategy's programs are compiled
        return init(key)

    return Problem(
        start_and_init,
        evaluating(engine, episode_keys, given),
        update,
        accounting.counters,
        accounting.RATIOS,
        host=True,
        listen=engine.listen,
    )
