"""Reinforcement learning as a problem: the fitness of a member is the return of its episodes."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxes.envs import contract
from jaxes.envs.protocol import Env
from jaxes.problem import Problem
from jaxes.rl import accounting, settings
from jaxes.rl import normalizer as norm
from jaxes.rl.accounting import State, Sums
from jaxes.rl.episodes import play
from jaxes.rl.lanes import acting, in_lanes
from jaxes.rl.policies.policy import Policy, checked
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
    lanewise: Literal["auto", "on", "fast", "off"] = "auto",
    workers: int | None = None,
    ray: str | None = None,
) -> Problem:
    """The problem of maximizing the return of episodes.

    The metrics of a run then have the mean length of an episode, the share of the episodes that the time limit ended,
    and the utilization, which is the share of the lanes' steps that belong to an episode; `invalid_observations` counts
    those that are NaN, infinite or so far from all others that the normalizer leaves them out
    (`jaxes.rl.normalizer`). Evaluation (`jaxes.rl.evaluation`) knows no cap, clipping, shift, bonus or noise.

    Args:
        env: from `jaxes.envs.make`, or your own, which `jaxes.envs.check` looks at first.
        policy: from `jaxes.rl.mlp`, `jaxes.rl.policy` or others.
        episodes: how many episodes a member plays; its fitness is their mean return.
        least_steps: a member plays more episodes until it has taken this many steps too; with several `episodes`, until
            each of them has had its equal part. A batch of n members then has at least `n * episodes` episodes and
            `n * least_steps` steps (`episodes_per_batch` and `timesteps_per_batch` of OpenAI's code).
        max_steps: time limit of an episode; the environment's own by default.
        cap: a lower time limit in training: a number of steps, "2x_mean" or "adaptive:START,THRESHOLD,RATIO", see
            `jaxes.rl.cap.cap`.
        clip_reward: (low, high): in training, rewards are clipped to this range before shift and bonus. Where the end
            of an episode costs more than it can earn at first (BipedalWalker takes 100 off for a fall), members learn
            to stand still; with (-1, 1) they may fall while they learn to walk. An infinite number leaves a side open.
        shift: subtracted from every reward in training, so that surviving alone earns nothing (Mania et al. 2018,
            section 4: 1 for hopper, walker and ant, 5 for humanoid); a number, or an optax schedule over generations.
        alive_bonus: (t0, t1, bonus): added to the rewards in training. It is nothing before step t0 of an episode, the
            whole bonus from step t1 on, and grows linearly in between (`alive_bonus_schedule` of EvoTorch).
        normalize: whether the policy sees observations normalized by running moments, which stay as they are within a
            generation: True or "on", False or "off", "salimans" or "ars", see `jaxes.rl.normalizer.init`.
        seeds: which members start in the same state (common random numbers): "pair", both members of an antithetic
            pair; "generation", all members of a generation; "independent", none.
        mode: "refill" plays on a number of lanes, and a lane whose episode has ended takes the next one that waits;
            "while" has a lane for every episode, until the last one has ended; "scan" takes `max_steps` steps whatever
            happens. "auto" is "refill" where there are more episodes than lanes, else "while". The returns are the same
            in every mode.
        lanes: how many episodes "refill" plays at once, at most as many as a population (or one of its blocks) has. For
            an environment that runs on CPUs (`mujoco/`, `gymnasium/`): how many members each process plays at once, 64
            by default.
        check_every: steps between two looks at which episodes have ended.
        lanewise: whether resets and steps run as one program for all lanes (`jaxes.lanewise`) where that is possible;
            "auto" does so where it is faster, on CPUs and NVIDIA cards. The returns are the same up to rounding. "fast"
            approximates sines, roots and divisions on NVIDIA cards.
        workers: processes that play an environment that runs on CPUs. By default one for each core; 0 plays in this
            process.
        ray: address of a Ray cluster whose actors play such an environment, instead of processes of this machine:
            "HOST:6379", "ray://HOST:10001", or "auto". By default one for each CPU. The numbers are the same.

    Returns:
        A `Problem` whose state is a `jaxes.rl.accounting.State`, and whose fitness is float32[members].

    Raises:
        TypeError, ValueError: if `env` is no environment, see `jaxes.envs.check`; TypeError if `policy` is none.
        ValueError: for settings that make no sense; when evaluated, for more lanes than episodes.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/CyclicMDP")
    >>> policy = rl.mlp(env, hidden=(), head="categorical")
    >>> problem = rl.rollout(env, policy, max_steps=10)
    >>> strategy = jaxes.open_es(8)
    >>> carry = strategy.init(jax.random.key(0), policy.init(jax.random.key(1))), problem.init(jax.random.key(2))
    >>> (_, state), info = jax.jit(jaxes.generation(strategy, problem))(carry)
    >>> int(state.episodes)
    8
    """
    env, policy = contract.checked(env), checked(policy)
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
        lanewise=lanewise,
        workers=workers,
        ray=ray,
    )
    env, act = in_lanes(env, lanewise), acting(policy, lanewise)

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
            act=act,
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
