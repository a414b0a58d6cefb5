"""The MuJoCo tasks of gymnasium, version 5, on CPUs: several members are stepped at once, bit for bit as in gymnasium.

Models, constants and resets are gymnasium's own. Observations, rewards and ends of episodes are computed for all lanes
at once by the same arithmetic (Towers et al. 2024, arXiv:2407.17032). Of the tasks in gym's first version, Thrower and
Striker are in no package any more; Pusher is here.
"""

import functools
from typing import Any, ClassVar

import jax
import numpy as np

from jaxes.envs.host import host_env
from jaxes.envs.protocol import Box, Env
from jaxes.envs.suites.mujoco_tools import VIEWS, View, draw, joined, quiet, spare

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
        if t % every == 0:
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


class _Task:
    """Observations, rewards and ends of a task, computed from arrays with a leading axis of lanes."""

    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel")  # of MjData, which the task needs
    remembered: ClassVar[tuple[str, ...]] = ("qpos",)  # fields that the reward compares with those of the step before

    def __init__(self, env: Any):
        self.env = env

    def outcome(self, before: dict[str, Any], now: dict[str, Any], actions: np.ndarray):
        """(observations, rewards, done)."""
        observations = self.observe(now)
        healthy = self.healthy(now)
        rewards = self.reward(before, now, actions, healthy)
        ends = getattr(self.env, "_terminate_when_unhealthy", True)
        return observations, rewards, ~healthy if ends else np.zeros(len(healthy), bool)

    def healthy(self, now: dict[str, Any]) -> np.ndarray:
        return np.ones(len(now["qpos"]), bool)

    def observe(self, now: dict[str, Any]) -> np.ndarray:
        raise NotImplementedError

    def reward(self, before: dict[str, Any], now: dict[str, Any], actions: np.ndarray, healthy: np.ndarray):
        raise NotImplementedError

    def effort(self, actions: np.ndarray) -> np.ndarray:
        return self.env._ctrl_cost_weight * _squares(actions)

    def speed(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        return self.env._forward_reward_weight * ((now - before) / self.env.dt)


class _HalfCheetah(_Task):
    hidden: ClassVar[int] = 1  # positions that are not observed

    def observe(self, now):
        return np.concatenate([now["qpos"][:, self.hidden :], now["qvel"]], axis=1)

    def reward(self, before, now, actions, healthy):
        return self.speed(before["qpos"][:, 0], now["qpos"][:, 0]) - self.effort(actions)


class _Swimmer(_HalfCheetah):
    hidden = 2


class _Walker2d(_Task):
    def healthy(self, now):
        (low_z, high_z), (low, high) = self.env._healthy_z_range, self.env._healthy_angle_range
        z, angle = now["qpos"][:, 1], now["qpos"][:, 2]
        return (low_z < z) & (z < high_z) & (low < angle) & (angle < high)

    def observe(self, now):
        return np.concatenate([now["qpos"][:, 1:], np.clip(now["qvel"], -10, 10)], axis=1)

    def reward(self, before, now, actions, healthy):
        alive = healthy * self.env._healthy_reward
        return self.speed(before["qpos"][:, 0], now["qpos"][:, 0]) + alive - self.effort(actions)


class _Hopper(_Walker2d):
    def healthy(self, now):
        low, high = self.env._healthy_state_range
        state = np.concatenate([now["qpos"][:, 2:], now["qvel"]], axis=1)
        return super().healthy(now) & np.all((low < state) & (state < high), axis=1)


class _Ant(_Task):
    fields = ("qpos", "qvel", "xpos", "cfrc_ext")
    remembered = ("xpos",)

    def __init__(self, env):
        super().__init__(env)
        self.torso = env.data.body(env._main_body).id

    def healthy(self, now):
        low, high = self.env._healthy_z_range
        z = now["qpos"][:, 2]
        finite = np.isfinite(now["qpos"]).all(axis=1) & np.isfinite(now["qvel"]).all(axis=1)
        return finite & (low <= z) & (z <= high)

    def observe(self, now):
        forces = np.clip(now["cfrc_ext"], *self.env._contact_force_range)[:, 1:]
        return np.concatenate([now["qpos"][:, 2:], now["qvel"], forces.reshape(len(forces), -1)], axis=1)

    def reward(self, before, now, actions, healthy):
        forces = np.clip(now["cfrc_ext"], *self.env._contact_force_range)
        contact = self.env._contact_cost_weight * _squares(forces)
        forward = self.speed(before["xpos"][:, self.torso, 0], now["xpos"][:, self.torso, 0])
        return forward + healthy * self.env._healthy_reward - (self.effort(actions) + contact)


class _Humanoid(_Task):
    fields = ("qpos", "qvel", "cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos", "ctrl")
    remembered = ("xipos",)

    def healthy(self, now):
        low, high = self.env._healthy_z_range
        return (low < now["qpos"][:, 2]) & (now["qpos"][:, 2] < high)

    def observe(self, now):
        wide = [now[field][:, 1:].reshape(len(now[field]), -1) for field in ("cinert", "cvel", "cfrc_ext")]
        parts = [now["qpos"][:, 2:], now["qvel"], wide[0], wide[1], now["qfrc_actuator"][:, 6:], wide[2]]
        return np.concatenate(parts, axis=1)

    def reward(self, before, now, actions, healthy):
        contact = np.clip(self.env._contact_cost_weight * _squares(now["cfrc_ext"]), *self.env._contact_cost_range)
        forward = self.speed(self._center(before["xipos"]), self._center(now["xipos"]))
        return forward + healthy * self.env._healthy_reward - (self.effort(now["ctrl"]) + contact)

    def _center(self, xipos):
        mass = self.env.model.body_mass
        whole = mass.sum()
        return np.array([(np.einsum("b,bj->j", mass, x) / whole)[0] for x in xipos])


class _HumanoidStandup(_Humanoid):
    fields = ("qpos", "qvel", "cinert", "cvel", "qfrc_actuator", "cfrc_ext", "ctrl")
    remembered = ()
    healthy = _Task.healthy

    def reward(self, before, now, actions, healthy):
        up = now["qpos"][:, 2] / self.env.model.opt.timestep
        impact = np.clip(self.env._impact_cost_weight * _squares(now["cfrc_ext"]), *self.env._impact_cost_range)
        return up - self.effort(now["ctrl"]) - impact + 1


class _InvertedPendulum(_Task):
    remembered = ()

    def healthy(self, now):
        finite = np.isfinite(now["qpos"]).all(axis=1) & np.isfinite(now["qvel"]).all(axis=1)
        return finite & ~(np.abs(now["qpos"][:, 1]) > 0.2)

    def observe(self, now):
        return np.concatenate([now["qpos"], now["qvel"]], axis=1)

    def reward(self, before, now, actions, healthy):
        return healthy.astype(float)


class _InvertedDoublePendulum(_Task):
    fields = ("qpos", "qvel", "qfrc_constraint", "site_xpos")
    remembered = ()

    def healthy(self, now):
        return ~(now["site_xpos"][:, 0, 2] <= 1)

    def observe(self, now):
        angles, constraint = now["qpos"][:, 1:], now["qfrc_constraint"][:, :1]
        parts = [now["qpos"][:, :1], np.sin(angles), np.cos(angles), np.clip(now["qvel"], -10, 10)]
        return np.concatenate([*parts, np.clip(constraint, -10, 10)], axis=1)

    def reward(self, before, now, actions, healthy):
        def one(tip, velocity, alive):  # powers of scalars round differently from those of arrays
            (x, _, y), (_, v1, v2) = tip, velocity
            distance, speed = 0.01 * x**2 + (y - 2) ** 2, 1e-3 * v1**2 + 5e-3 * v2**2
            return self.env._healthy_reward * int(alive) - distance - speed

        return np.array([one(*row) for row in zip(now["site_xpos"][:, 0], now["qvel"], healthy, strict=True)])


class _Reacher(_Task):
    fields = ("qpos", "qvel", "xpos")
    remembered = ()

    def __init__(self, env):
        super().__init__(env)
        self.fingertip, self.target = (env.data.body(name).id for name in ("fingertip", "target"))

    def observe(self, now):
        angles = now["qpos"][:, :2]
        apart = now["xpos"][:, self.fingertip] - now["xpos"][:, self.target]
        parts = [np.cos(angles), np.sin(angles), now["qpos"][:, 2:], now["qvel"][:, :2], apart[:, :2]]
        return np.concatenate(parts, axis=1)

    def reward(self, before, now, actions, healthy):
        apart = _lengths(now["xpos"][:, self.fingertip] - now["xpos"][:, self.target])
        return -apart * self.env._reward_dist_weight + -_squares(actions) * self.env._reward_control_weight


class _Pusher(_Task):
    fields = ("qpos", "qvel", "xpos")
    remembered = ()

    def __init__(self, env):
        super().__init__(env)
        self.arm, self.thing, self.goal = (env.data.body(name).id for name in ("tips_arm", "object", "goal"))

    def observe(self, now):
        positions = [now["xpos"][:, body] for body in (self.arm, self.thing, self.goal)]
        return np.concatenate([now["qpos"][:, :7], now["qvel"][:, :7], *positions], axis=1)

    def reward(self, before, now, actions, healthy):
        arm, thing, goal = (now["xpos"][:, body] for body in (self.arm, self.thing, self.goal))
        near = -_lengths(thing - arm) * self.env._reward_near_weight
        far = -_lengths(thing - goal) * self.env._reward_dist_weight
        return far + -_squares(actions) * self.env._reward_control_weight + near


TASKS: dict[str, type[_Task]] = {
    "Ant-v5": _Ant,
    "HalfCheetah-v5": _HalfCheetah,
    "Hopper-v5": _Hopper,
    "Humanoid-v5": _Humanoid,
    "HumanoidStandup-v5": _HumanoidStandup,
    "InvertedDoublePendulum-v5": _InvertedDoublePendulum,
    "InvertedPendulum-v5": _InvertedPendulum,
    "Pusher-v5": _Pusher,
    "Reacher-v5": _Reacher,
    "Swimmer-v5": _Swimmer,
    "Walker2d-v5": _Walker2d,
}


def _squares(rows: np.ndarray) -> np.ndarray:
    """The sum of the squares of each row."""
    return np.sum(np.square(rows.reshape(len(rows), -1)), axis=1)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """Euclidean lengths, one by one: for many vectors at once NumPy rounds differently."""
    return np.array([np.linalg.norm(vector) for vector in vectors])
