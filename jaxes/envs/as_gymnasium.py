"""The environments of jaxes for users of gymnasium; importing this module registers their ids.

`gymnasium.make("jaxes.envs.as_gymnasium:jaxes/CyclicMDP-v0")` imports and makes, in worker processes too.
"""

from typing import Any

import jax
import numpy as np

from jaxes.envs import contract, own
from jaxes.envs.protocol import Box, Discrete, Env, MultiDiscrete
from jaxes.support import extras

try:
    import gymnasium
except ImportError as error:
    raise extras.missing("gymnasium", "gymnasium", error) from None


class AsGymnasium(gymnasium.Env):
    """An environment behind gymnasium's interface. As usual there, a wrapper sets the time limit.

    Args:
        env: must run in compiled programs.
        render_mode: "rgb_array", if the environment can draw itself.
    """

    def __init__(self, env: Env, render_mode: str | None = None):
        env = contract.checked(env)
        if env.lanes is not None:
            raise ValueError(f"env must run in compiled programs, got {env.name}, which runs in Python processes")
        self.metadata = {"render_modes": ["rgb_array"] if env.frames else [], "render_fps": _per_second(env)}
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode must be one of {self.metadata['render_modes']} or None, got {render_mode!r}")
        self.render_mode, self._env = render_mode, env
        self.observation_space = _space(env.observation)
        match env.action:
            case Discrete(n):
                self.action_space = gymnasium.spaces.Discrete(n)
            case MultiDiscrete(counts):
                self.action_space = gymnasium.spaces.MultiDiscrete(list(counts))
            case Box(low, high):
                self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        self._reset, self._step = jax.jit(env.reset), jax.jit(env.step)
        self._state: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._state = self._reset(jax.random.key(int(self.np_random.integers(2**31))))
        return jax.device_get(self._state.observation), {}

    def step(self, action: Any):
        self._state = self._step(self._state, np.asarray(action, self.action_space.dtype))
        observation, reward, done = jax.device_get((self._state.observation, self._state.reward, self._state.done))
        return observation, float(reward), bool(done), False, {}

    def render(self):
        if self.render_mode is None or self._env.frames is None:
            return None
        return self._env.frames([jax.device_get(self._state.physics)])[0]


def make(name: str, render_mode: str | None = None, **options: Any) -> AsGymnasium:
    """The environment jaxes/`name`; `options` are those of its factory."""
    return AsGymnasium(own.make(name, **options), render_mode)


def _space(observation: Any) -> Any:
    """A box without limits for each array, in a dictionary if the observation is one."""
    if isinstance(observation, dict):
        return gymnasium.spaces.Dict({name: _space(part) for name, part in observation.items()})
    if observation.dtype == np.bool_:
        return gymnasium.spaces.Box(0, 1, observation.shape, np.bool_)  # pyrefly: ignore[bad-argument-type]
    if np.issubdtype(observation.dtype, np.integer):
        limits = np.iinfo(observation.dtype)
        return gymnasium.spaces.Box(limits.min, limits.max, observation.shape, observation.dtype)
    return gymnasium.spaces.Box(-np.inf, np.inf, observation.shape, observation.dtype)


def _per_second(env: Env) -> int:
    return max(1, round(1 / env.step_seconds)) if env.step_seconds else 25


for _name, _limit in own.MAX_STEPS.items():
    gymnasium.register(
        f"jaxes/{_name}-v0",
        entry_point="jaxes.envs.as_gymnasium:make",
        max_episode_steps=_limit,
        kwargs={"name": _name},
        disable_env_checker=True,
    )
