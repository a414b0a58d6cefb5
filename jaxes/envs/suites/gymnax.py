"""Gymnax environments without automatic reset, and without a time limit among the ends of episodes."""

import types
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs import drawings
from jaxes.envs.protocol import Box, Discrete, Env, EnvState
from jaxes.envs.suites.foreign import foreign, strong
from jaxes.support import checks, extras

SIZES = {  # numbers in an observation and in an action
    "CartPole-v1": (4, Discrete(2)),
    "Pendulum-v1": (3, 1),
    "Acrobot-v1": (6, Discrete(3)),
    "MountainCar-v0": (2, Discrete(3)),
    "MountainCarContinuous-v0": (2, 1),
    "Asterix-MinAtar": (400, Discrete(5)),
    "Breakout-MinAtar": (400, Discrete(3)),
    "Freeway-MinAtar": (700, Discrete(3)),
    "Seaquest-MinAtar": (1000, Discrete(6)),
    "SpaceInvaders-MinAtar": (600, Discrete(4)),
    "Catch-bsuite": (50, Discrete(3)),
    "DeepSea-bsuite": (64, Discrete(2)),
    "MemoryChain-bsuite": (3, Discrete(2)),
    "UmbrellaChain-bsuite": (3, Discrete(2)),
    "DiscountingChain-bsuite": (2, Discrete(5)),
    "MNISTBandit-bsuite": (784, Discrete(10)),
    "SimpleBandit-bsuite": (1, Discrete(11)),
    "FourRooms-misc": (4, Discrete(4)),
    "MetaMaze-misc": (15, Discrete(4)),
    "PointRobot-misc": (6, 2),
    "BernoulliBandit-misc": (4, Discrete(2)),
    "GaussianBandit-misc": (4, Discrete(2)),
    "Reacher-misc": (8, 2),
    "Swimmer-misc": (16, 2),
    "Pong-misc": (3600, Discrete(3)),
    "FrozenLake-misc": (1, Discrete(4)),
}
MAX_STEPS = {
    "CartPole-v1": 500,
    "Pendulum-v1": 200,
    "Acrobot-v1": 500,
    "MountainCar-v0": 200,
    "MountainCarContinuous-v0": 999,
    "Asterix-MinAtar": 1000,
    "Breakout-MinAtar": 1000,
    "Freeway-MinAtar": 2500,
    "Seaquest-MinAtar": 1000,
    "SpaceInvaders-MinAtar": 1000,
    "Catch-bsuite": 1000,
    "DeepSea-bsuite": 8,
    "MemoryChain-bsuite": 1000,
    "UmbrellaChain-bsuite": 100,
    "DiscountingChain-bsuite": 100,
    "MNISTBandit-bsuite": 1,
    "SimpleBandit-bsuite": 100,
    "FourRooms-misc": 500,
    "MetaMaze-misc": 200,
    "PointRobot-misc": 100,
    "BernoulliBandit-misc": 100,
    "GaussianBandit-misc": 100,
    "Reacher-misc": 100,
    "Swimmer-misc": 500,
    "Pong-misc": 1000,
    "FrozenLake-misc": 100,
}


class Physics(NamedTuple):
    """What the environment needs for its next step."""

    state: Any  # of Gymnax; its `time` counts the steps
    key: jax.Array  # key[]: step t draws from fold_in(key, t)


def make(name: str, **options: Any) -> Env:
    """The environment "gymnax/`name`" with its default parameters.

    Observations are float32 arrays, or int32[] if they are the number of a state (FrozenLake). `done` is never set by
    the time limit. MNISTBandit-bsuite downloads its images.

    Args:
        name: such as "CartPole-v1"; one of `MAX_STEPS`.
        **options: for the class of the environment in Gymnax, such as `size=10` for DeepSea-bsuite.

    Raises:
        ImportError: without Gymnax; the message says what to install.
        TypeError: for an option that the class does not have.
        ValueError: if there is no such environment.
    """
    checks.choice("Gymnax environment", name, MAX_STEPS)
    with foreign():
        gymnax = _import_gymnax()
        try:
            env, params = gymnax.make(name, **options)
        except TypeError as error:
            raise TypeError(f"options must be those of gymnax/{name}, got {', '.join(options)}: {error}") from None
        seen, actions = env.observation_space(params), env.action_space(params)
    seen_as = jnp.int32 if hasattr(seen, "n") else jnp.float32

    def wrap(observation, state, reward, done, key) -> EnvState:
        observation = jnp.asarray(observation).astype(seen_as)
        return EnvState(Physics(strong(state), key), observation, jnp.float32(reward), jnp.asarray(done).astype(bool))

    def reset(key):
        start, later = jax.random.split(key)
        with foreign():
            observation, state = env.reset_env(start, params)
            return wrap(observation, state, 0, False, later)

    def step(state, action):
        before, key = state.physics
        with foreign():
            now = jax.random.fold_in(key, jnp.asarray(before.time).astype(jnp.uint32))
            observation, after, reward, done, _ = env.step_env(now, before, action, params)
            return wrap(observation, after, reward, done, key)

    shape = jax.eval_shape(reset, jax.random.key(0)).observation
    limits = lambda x: np.broadcast_to(np.asarray(x, np.float32), actions.shape)
    action = Discrete(int(actions.n)) if hasattr(actions, "n") else Box(limits(actions.low), limits(actions.high))
    seconds = float(getattr(params, "tau", getattr(params, "dt", 0)))
    limit = int(params.max_steps_in_episode)
    return Env(f"gymnax/{name}", reset, step, shape, action, limit, seconds, _frames(name, env, params))


def _frames(name: str, env: Any, params: Any):
    """How to draw it: MinAtar as grids, classic control from the side; None for environments without pictures."""
    if name.endswith("-MinAtar"):

        def grids(moments: list[Physics], height: int = 360, width: int = 360) -> list[np.ndarray]:
            with foreign():
                see = jax.jit(lambda state: env.get_obs(state, params))
                return [drawings.grid(np.asarray(see(x.state)), height, width) for x in moments]

        return grids
    if name not in drawings.CLASSIC:
        return None

    def scenes(moments: list[Physics], height: int = 360, width: int = 480) -> list[np.ndarray]:
        return drawings.scenes(drawings.CLASSIC[name], [x.state for x in moments], params, height, width)

    return scenes


def _import_gymnax() -> types.ModuleType:
    try:
        import gymnax
    except ImportError as error:
        raise extras.missing("gymnax", "gymnax", error) from None
    return gymnax
