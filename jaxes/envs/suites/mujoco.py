"""The MuJoCo tasks of gymnasium, version 5, on CPUs: several members are stepped at once, bit for bit as in gymnasium.

Models, constants and resets are gymnasium's own; `mujoco_tasks` has what the tasks make of the physics. Of the tasks in
gym's first version, Thrower and Striker are in no package any more; Pusher is here.
"""

import functools
from typing import Any

import jax
import numpy as np

from jaxes.envs.host import host_env
from jaxes.envs.protocol import Box, Env
from jaxes.envs.suites.mujoco_drawing import VIEWS, View, draw
from jaxes.envs.suites.mujoco_tasks import TASKS
from jaxes.envs.suites.mujoco_tools import joined, quiet, spare

MAX_STEPS = {
    "Ant-v5": 1000,
    "HalfCheetah-v5": 1000,
    "Hopper-v5": 1000,
    "Humanoid-v5": 1000,
    "HumanoidStandup-v5": 1000,
    "InvertedDoublePendulum-v5": 1000,
    "InvertedPendulum-v5": 1000,
    "Pusher-v5": 100,
    "Reacher-v5": 50,
    "Swimmer-v5": 1000,
    "Walker2d-v5": 1000,
}
SIZES = {
    "Ant-v5": (105, 8),
    "HalfCheetah-v5": (17, 6),
    "Hopper-v5": (11, 3),
    "Humanoid-v5": (348, 17),
    "HumanoidStandup-v5": (348, 17),
    "InvertedDoublePendulum-v5": (9, 1),
    "InvertedPendulum-v5": (4, 1),
    "Pusher-v5": (23, 7),
    "Reacher-v5": (10, 2),
    "Swimmer-v5": (8, 2),
    "Walker2d-v5": (17, 6),
}

# The fields of MjData that a lane keeps; a step computes all others anew. The solver begins with qacc_warmstart.
KEPT = ("qpos", "qvel", "act", "qacc_warmstart", "ctrl")


def make(name: str, **options: Any) -> Env:
    """The environment "mujoco/`name`".

    Args:
        name: gymnasium's id, such as "HalfCheetah-v5".
        **options: for `gymnasium.make`, such as `ctrl_cost_weight=0.1`. Where they ask for observations that are not
            computed here, or the id was registered anew, gymnasium's own environments are stepped instead.

    Raises:
        ImportError: without gymnasium or MuJoCo; the message says what to install.
    """
    env, limit = _made(name, options)
    if not _as_here(name, options, env):
        from jaxes.envs.suites import gymnasium

        with quiet():
            return gymnasium.make(name, **options)._replace(name=f"mujoco/{name}")
    lanes = functools.partial(MujocoLanes, name, options)
    observation = jax.ShapeDtypeStruct(env.observation_space.shape, np.float32)
    action = Box(env.action_space.low, env.action_space.high)
    film = functools.partial(_film, name, options)
    return host_env(f"mujoco/{name}", lanes, observation, action, limit, float(env.dt), film)


def _made(name: str, options: dict[str, Any], **drawn: Any) -> Any:
    from jaxes.envs.suites.gymnasium import made

    with quiet():
        return made(name, {**options, **drawn}, extra="mujoco")


def _as_here(name: str, options: dict[str, Any], env: Any) -> bool:
    """Whether `MujocoLanes` gives the same bits as gymnasium's environment, which is tried where there are options."""
    if env.unwrapped is not env or not type(env).__module__.startswith("gymnasium.envs.mujoco."):
        return False
    if not options:
        return True
    try:
        lanes = MujocoLanes(name, options, 1)
        lanes.reset(0, 0)
        same, random = np.array_equal(env.reset(seed=0)[0], lanes.observations[0]), np.random.default_rng(0)
        for _ in range(100):
            action = random.uniform(env.action_space.low, env.action_space.high).astype(np.float32)
            observation, reward, ended, *_ = env.step(action)
            rewards, done = lanes.step(np.zeros(1, int), action[None])
            same &= np.array_equal(observation, lanes.observations[0]) and (reward, ended) == (rewards[0], done[0])
    except (ValueError, AttributeError, IndexError):  # of shapes and fields that are not those of the task
        return False
    return bool(same)


def _film(name: str, options: dict[str, Any], seed: int, actions: list[np.ndarray], every: int) -> list[np.ndarray]:
    env: Any = _made(name, options).env
    env.reset(seed=seed)
    moment = lambda: {"qpos": env.data.qpos.copy(), "qvel": env.data.qvel.copy()}
    moments = [moment()]
    for t, action in enumerate(actions, 1):
        env.step(action)
        if t % every == 0 or t == len(actions):
            moments.append(moment())
    return draw(env.model, moments, 360, 480, VIEWS.get(name.partition("-")[0].lower(), View()))


class MujocoLanes:
    """The lanes of one task (`jaxes.envs.host.Lanes`), stepped in one `MjData` so that it stays in the caches."""

    def __init__(self, name: str, options: dict[str, Any], count: int):
        import mujoco

        self._mujoco = mujoco
        self._env: Any = _made(name, options).env
        self._model, self._data, self._frame_skip = self._env.model, self._env.data, self._env.frame_skip
        model, physics = self._model, mujoco.mjtState.mjSTATE_FULLPHYSICS
        if mujoco.mj_stateSize(model, physics) != 1 + model.nq + model.nv + model.na:  # 1: the time
            raise ValueError(
                f"{name} must have a state of positions, velocities and activations, got plugins or delays"
            )
        spare(self._model)
        self._task = TASKS[name](self._env)
        kept = {field: getattr(self._data, field) for field in KEPT}
        self._block, columns, self._apart = joined({field: view for field, view in kept.items() if view.size})
        self._states = np.repeat(self._block[None], count, axis=0)
        self._rows = list(self._states)
        self._controls = self._states[:, columns["ctrl"]]
        self._now = {field: self._states[:, where] for field, where in columns.items() if field in self._task.fields}
        self._derived = []
        for field in self._task.fields:
            if field not in columns:
                view = getattr(self._data, field)
                self._now[field] = np.zeros((count, *view.shape))
                self._derived.append((self._now[field], view))
        self.observations = np.zeros((count, *self._env.observation_space.shape))

    def reset(self, lane: int, seed: int) -> None:
        self._env.np_random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        for field in ("act", "qacc_warmstart", "ctrl", "cfrc_ext"):  # what mj_forward reads or leaves alone
            getattr(self._data, field)[:] = 0
        self.observations[lane] = self._env.reset_model()  # gymnasium's own
        for view, part in self._apart:
            part[:] = view
        self._states[lane] = self._block
        for of_lanes, view in self._derived:
            of_lanes[lane] = view

    def step(self, lanes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        now = self._now
        before = {field: now[field][lanes] for field in self._task.remembered}
        self._controls[lanes] = actions
        mj_step, post = self._mujoco.mj_step, self._mujoco.mj_rnePostConstraint
        model, data, frames = self._model, self._data, self._frame_skip
        block, rows, apart, derived = self._block, self._rows, self._apart, self._derived
        forces = "cfrc_ext" in now  # all that mj_rnePostConstraint gives to these tasks
        for lane in lanes.tolist():
            row = rows[lane]
            block[:] = row
            for view, part in apart:
                view[:] = part
            mj_step(model, data, frames)
            if forces:
                post(model, data)
            for view, part in apart:
                part[:] = view
            row[:] = block
            for of_lanes, view in derived:
                of_lanes[lane] = view
        after = {field: x[lanes] for field, x in now.items()}
        observations, rewards, done = self._task.outcome(before, after, actions)
        self.observations[lanes] = observations
        return rewards, done
