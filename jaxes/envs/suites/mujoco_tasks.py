"""What gymnasium's MuJoCo tasks make of the physics, for all lanes at once: observations, rewards and ends of episodes.

The arithmetic is gymnasium's, bit for bit (Towers et al. 2024, arXiv:2407.17032).
"""

from typing import Any, ClassVar

import numpy as np


class Task:
    """Observations, rewards and ends of a task, computed from arrays with a leading axis of lanes.

    Args:
        env: gymnasium's environment, unwrapped, whose settings are read.
    """

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


class _HalfCheetah(Task):
    hidden: ClassVar[int] = 1  # positions that are not observed

    def observe(self, now):
        return np.concatenate([now["qpos"][:, self.hidden :], now["qvel"]], axis=1)

    def reward(self, before, now, actions, healthy):
        return self.speed(before["qpos"][:, 0], now["qpos"][:, 0]) - self.effort(actions)


class _Swimmer(_HalfCheetah):
    hidden = 2


class _Walker2d(Task):
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


class _Ant(Task):
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


class _Humanoid(Task):
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
    healthy = Task.healthy

    def reward(self, before, now, actions, healthy):
        up = now["qpos"][:, 2] / self.env.model.opt.timestep
        impact = np.clip(self.env._impact_cost_weight * _squares(now["cfrc_ext"]), *self.env._impact_cost_range)
        return up - self.effort(now["ctrl"]) - impact + 1


class _InvertedPendulum(Task):
    remembered = ()

    def healthy(self, now):
        finite = np.isfinite(now["qpos"]).all(axis=1) & np.isfinite(now["qvel"]).all(axis=1)
        return finite & ~(np.abs(now["qpos"][:, 1]) > 0.2)

    def observe(self, now):
        return np.concatenate([now["qpos"], now["qvel"]], axis=1)

    def reward(self, before, now, actions, healthy):
        return healthy.astype(float)


class _InvertedDoublePendulum(Task):
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


class _Reacher(Task):
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


class _Pusher(Task):
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


TASKS: dict[str, type[Task]] = {
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
