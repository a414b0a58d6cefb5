"""The control suite of MuJoCo Playground without automatic reset and without episode wrapper.

Importing the package takes 5 to 30 seconds. Its locomotion and manipulation tasks are not here because they download
their robots.
"""

import contextlib
import io
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.protocol import Box, Env, EnvState
from jaxes.envs.suites.foreign import foreign, pure, strong
from jaxes.envs.suites.mujoco_drawing import draw
from jaxes.envs.suites.mujoco_tools import quiet
from jaxes.support import checks, extras

IMPLEMENTATIONS = ("jax", "warp")

SIZES = {  # numbers in an observation and in an action
    "AcrobotSwingup": (6, 1),
    "AcrobotSwingupSparse": (6, 1),
    "BallInCup": (8, 2),
    "CartpoleBalance": (5, 1),
    "CartpoleBalanceSparse": (5, 1),
    "CartpoleSwingup": (5, 1),
    "CartpoleSwingupSparse": (5, 1),
    "CheetahRun": (17, 6),
    "FingerSpin": (9, 2),
    "FingerTurnEasy": (12, 2),
    "FingerTurnHard": (12, 2),
    "FishSwim": (24, 5),
    "HopperHop": (15, 4),
    "HopperStand": (15, 4),
    "HumanoidRun": (67, 21),
    "HumanoidStand": (67, 21),
    "HumanoidWalk": (67, 21),
    "PendulumSwingup": (3, 1),
    "PointMass": (4, 2),
    "ReacherEasy": (6, 2),
    "ReacherHard": (6, 2),
    "SwimmerSwimmer6": (25, 5),
    "WalkerRun": (24, 6),
    "WalkerStand": (24, 6),
    "WalkerWalk": (24, 6),
}
MAX_STEPS = dict.fromkeys(SIZES, 1000)

_CAMERAS = {"FishSwim": "fixed_top"}  # for all others the first camera of the model


def make(name: str, *, impl: str | None = None, **options: Any) -> Env:
    """The environment "playground/`name`".

    Actions are vectors in the ranges of the actuators, [-1, 1]. Observations are float32 vectors. Rewards lie in
    [0, 1]. An episode is done only if the physics has become NaN.

    Args:
        name: such as "CheetahRun"; one of `MAX_STEPS`.
        impl: the implementation of the physics, "jax" or "warp"; by default "jax" on a CPU, and elsewhere the
            environment's own ("warp").
        **options: settings in the environment's configuration, such as `sim_dt=0.005`.

    Raises:
        ImportError: without MuJoCo Playground; the message says what to install.
        ValueError: if there is no such environment, implementation or setting.
    """
    checks.choice("Playground environment", name, MAX_STEPS)
    if impl is None and jax.default_backend() == "cpu":
        impl = "jax"
    if impl is not None:
        options["impl"] = checks.choice("Playground impl", impl, IMPLEMENTATIONS)
    with foreign(), quiet():
        registry = _import_registry()
        config = registry.get_default_config(name)
        for option in options:
            checks.choice(f"option of playground/{name}", option, config)
        if "episode_length" in options:
            checks.count("episode_length", options["episode_length"])
        config.update(options)
        env = registry.load(name, config=config)

    def wrap(state) -> EnvState:
        state = strong(state)
        return EnvState(state, state.obs, state.reward.astype(jnp.float32), state.done.astype(bool))

    reset, step = pure(env, wrap)

    def frames(states: list[Any], height: int = 360, width: int = 480) -> list[np.ndarray]:
        names = ("qpos", "qvel", "mocap_pos", "mocap_quat")
        moments = [{name: getattr(state.data, name) for name in names} for state in states]
        camera = env.mj_model.camera(_CAMERAS.get(name, 0)).id
        return draw(env.mj_model, moments, height, width, camera)

    shape = jax.eval_shape(reset, jax.random.key(0)).observation
    low, high = env.mj_model.actuator_ctrlrange.astype(np.float32).T
    return Env(
        f"playground/{name}", reset, step, shape, Box(low, high), int(config.episode_length), float(env.dt), frames
    )


def _import_registry() -> types.ModuleType:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            from mujoco_playground import registry
    except ImportError as error:
        raise extras.missing("playground", "playground", error) from None
    return registry
