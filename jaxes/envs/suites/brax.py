"""Brax environments without automatic reset and without episode wrapper."""

import contextlib
import inspect
import io
import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.protocol import Box, Env, EnvState
from jaxes.envs.suites.foreign import foreign, pure
from jaxes.envs.suites.mujoco_drawing import VIEWS, View, draw
from jaxes.envs.suites.mujoco_tools import quiet
from jaxes.support import checks

BACKENDS = ("spring", "generalized", "positional", "mjx")

SIZES = {  # numbers in an observation and in an action
    "ant": (27, 8),
    "halfcheetah": (17, 6),
    "hopper": (11, 3),
    "humanoid": (244, 17),
    "humanoidstandup": (244, 17),
    "inverted_double_pendulum": (8, 1),
    "inverted_pendulum": (4, 1),
    "pusher": (23, 7),
    "reacher": (11, 2),
    "swimmer": (8, 2),
    "walker2d": (17, 6),
}
# Time limits of the tasks of these names in gymnasium, in steps.
MAX_STEPS = {**dict.fromkeys(SIZES, 1000), "pusher": 100, "reacher": 50}

# Brax itself makes a swimmer for "generalized" only. MJX gives the same motion; the others swim quite differently.
_BACKENDS_OF = {"swimmer": ("generalized", "mjx")}


def make(name: str, *, backend: str | None = None, **options: Any) -> Env:
    """The environment "brax/`name`".

    Actions are vectors in [-1, 1], which Brax maps to the ranges of the actuators. Observations are float32 vectors.

    Args:
        name: such as "hopper"; one of `MAX_STEPS`.
        backend: "spring" (default), "generalized", "positional" or "mjx"; swimmer has only "generalized" (default) and
            "mjx".
        **options: for the class of the environment in Brax.

    Raises:
        TypeError: for an option that the class does not have.
        ValueError: if there is no such environment or backend.
    """
    checks.choice("Brax environment", name, MAX_STEPS)
    known = _BACKENDS_OF.get(name, BACKENDS)
    backend = known[0] if backend is None else checks.choice("Brax backend", backend, BACKENDS)
    if backend not in known:
        raise ValueError(f"backend must be one of {', '.join(known)} for brax/{name}, got {backend!r}")
    with foreign(), quiet():
        envs = _import_brax()
        first = "generalized" if name == "swimmer" else backend
        try:
            env = envs.get_environment(name, backend=first, **options)
        except TypeError as error:
            raise TypeError(f"options must be those of brax/{name}, got {', '.join(options)}: {error}") from None
        if env.backend != backend:
            envs.PipelineEnv.__init__(env, env.sys, backend, env._n_frames, env._debug)

    def wrap(state) -> EnvState:
        return EnvState(state, state.obs, jnp.asarray(state.reward, jnp.float32), jnp.asarray(state.done).astype(bool))

    reset, step = pure(env, wrap)

    def frames(states: list[Any], height: int = 360, width: int = 480) -> list[np.ndarray]:
        moments = [{"qpos": state.pipeline_state.q, "qvel": state.pipeline_state.qd} for state in states]
        return draw(env.sys.mj_model, moments, height, width, VIEWS.get(name, View()))

    def html(states: list[Any], seconds: float) -> str:
        with foreign():
            from brax.io import html as viewer

            system = env.sys.tree_replace({"opt.timestep": seconds})  # the viewer's time between two states
            return viewer.render(system, [state.pipeline_state for state in states], height="100vh", colab=False)

    # The shape is traced: `env.observation_size` would run a reset without `jit`, which takes minutes.
    shape = jax.eval_shape(reset, jax.random.key(0)).observation
    limit = np.ones(env.action_size, np.float32)
    return Env(f"brax/{name}", reset, step, shape, Box(-limit, limit), MAX_STEPS[name], float(env.dt), frames, html)


def _import_brax() -> types.ModuleType:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            from brax import envs, fluid  # MuJoCo's JAX port prints that warp is not there
    except ImportError as error:
        raise ImportError(f"brax is not installed ({error}): pip install brax") from None
    if "a_min" not in inspect.signature(jnp.clip).parameters and "a_min=" in inspect.getsource(fluid):
        fluid.jp = _numpy_with_old_clip()
    return envs


def _numpy_with_old_clip() -> types.ModuleType:
    """`jax.numpy` with a `clip` that still takes `a_min`, for the fluid forces (swimmer) of Brax 0.14.2."""
    module = types.ModuleType("jax_numpy_with_old_clip")
    vars(module)["__getattr__"] = lambda name: getattr(jnp, name)
    vars(module)["clip"] = lambda x, a_min=None, a_max=None: jnp.clip(x, a_min, a_max)
    sys.modules[module.__name__] = module
    return module
