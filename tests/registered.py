"""Environments of gymnasium that are registered by importing this module."""

import copy

import gymnasium
import numpy as np
from gymnasium import spaces


class Walk(gymnasium.Env):
    """A point on a line; spaces, rewards and interfaces are whatever a test asks for."""

    def __init__(self, seen="box", acted="box", paid="float", interface="new", render_mode=None):
        self.seen, self.acted, self.paid, self.interface, self.render_mode = seen, acted, paid, interface, render_mode
        self.observation_space, self.action_space = copy.deepcopy((SEEN[seen], ACTED[acted]))
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.x, self.t = self.np_random.uniform(-1, 1), 0
        observation = self.observe()
        return {"new": (observation, {}), "gym": observation, "two": np.float32([self.x, 0])}.get(
            self.interface, (observation, {})
        )

    def step(self, action):
        self.taken.append(action)
        self.t += 1
        self.x += 0.1 * float(np.sum(action))
        reward = PAID[self.paid](self.x)
        ended = abs(self.x) > 3
        if self.interface == "four":
            return self.observe(), reward, ended, {}
        return self.observe(), reward, ended, False, {}

    def observe(self):
        if self.seen == "box":
            return np.float32([self.x, self.t])
        if self.seen == "list":
            return [self.x, self.t]
        if self.seen == "wrong":
            return np.float32([self.x])
        return self.observation_space.sample()


class Cut(Walk):
    """Cuts its episodes itself, after five steps, but for those that end there."""

    def step(self, action):
        observation, reward, ended, _, info = super().step(action)
        return observation, reward, ended or (self.t == 5 and self.x > 0), self.t == 5, info


class Old(Walk):
    """A reset of gym's first interface."""

    def reset(self):
        return super().reset()[0]


_box = spaces.Box(-10, 10, (2,), np.float32)
SEEN = {
    "box": spaces.Box(-np.inf, np.inf, (2,), np.float32),
    "list": spaces.Box(-np.inf, np.inf, (2,), np.float64),
    "wrong": spaces.Box(-np.inf, np.inf, (2,), np.float32),
    "scalar": spaces.Box(-1, 1, (), np.float32),
    "int64": spaces.Box(-5, 5, (3,), np.int64),
    "discrete": spaces.Discrete(5),
    "discrete from 3": spaces.Discrete(4, start=3),
    "multi": spaces.MultiDiscrete([2, 3, 4]),
    "multi of two axes": spaces.MultiDiscrete([[2, 3], [4, 5]]),
    "binary": spaces.MultiBinary(4),
    "tuple": spaces.Tuple((spaces.Discrete(3), _box, spaces.MultiBinary(2))),
    "dict": spaces.Dict(
        {"z": spaces.Discrete(3), "a": _box, "m": spaces.Dict({"q": spaces.Box(0, 1, (), np.float64)})}
    ),
    "pictures": spaces.Dict({"z": spaces.Discrete(3), "a": spaces.Box(0, 255, (4, 4, 1), np.uint8)}),
    "pictures in a tuple": spaces.Tuple((spaces.Box(0, 255, (4, 4), np.uint8), spaces.Tuple((_box,)))),
    "text": spaces.Text(5),
    "sequence in a dict": spaces.Dict({"s": spaces.Sequence(_box), "a": _box}),
}
ACTED = {
    "box": spaces.Box(-1, 1, (1,), np.float32),
    "box of ints": spaces.Box(-2, 2, (2,), np.int64),
    "discrete": spaces.Discrete(3),
    "discrete from -1": spaces.Discrete(3, start=-1),
    "multi": spaces.MultiDiscrete([2, 3, 4]),
    "multi from 1": spaces.MultiDiscrete([2, 3], start=[1, -1]),
    "multi of two axes": spaces.MultiDiscrete([[2, 3], [2, 2]]),
    "binary": spaces.MultiBinary(3),
    "binary of two axes": spaces.MultiBinary([2, 2]),
    "tuple": spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2))),
}
PAID = {
    "float": abs,
    "array": lambda x: np.array([abs(x)]),
    "float32 array": lambda x: np.float32([[abs(x)]]),
    "int": lambda x: int(abs(x) > 0.5),
    "bool": lambda x: np.bool_(abs(x) > 0.5),
    "two": lambda x: np.array([x, x]),
    "none": lambda x: None,
}


class Shown(gymnasium.ObservationWrapper):
    """Shows a number more."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def observation(self, observation):
        return np.append(observation, 7).astype(np.float32)


def wrapped(render_mode=None):
    """Rewards times ten, a number more to see, and a time limit of its own."""
    env = gymnasium.wrappers.TransformReward(Walk(render_mode=render_mode), lambda reward: 10 * reward)
    return gymnasium.wrappers.TimeLimit(Shown(env), 10)


def wrapped_inside(render_mode=None):
    """The time limit inside."""
    env = gymnasium.wrappers.TimeLimit(Walk(render_mode=render_mode), 10)
    return gymnasium.wrappers.TransformReward(Shown(env), lambda reward: 10 * reward)


gymnasium.register("jaxes-tests/Walk-v0", Walk, max_episode_steps=50)
gymnasium.register("jaxes-tests/Walk-v2", Walk, max_episode_steps=30)
gymnasium.register("jaxes-tests/Old-v0", Old, max_episode_steps=50)
gymnasium.register("jaxes-tests/Wrapped-v0", wrapped, max_episode_steps=50)
gymnasium.register("jaxes-tests/Inside-v0", wrapped_inside, max_episode_steps=50)
gymnasium.register("jaxes-tests/Unlimited-v0", "registered:Walk")
gymnasium.register("jaxes-tests/Cut-v0", Cut, max_episode_steps=50)
