"""Cart-pole swing-up against MuJoCo itself, given dm_control's published constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes.envs.own import cartpole_swingup as cartpole

# The model that dm_control 1.0 publishes, without what is only seen.
MODEL = """
<mujoco>
  <option timestep="0.01" integrator="RK4"><flag contact="disable"/></option>
  <worldbody>
    <body name="cart" pos="0 0 1">
      <joint name="slider" type="slide" limited="true" axis="1 0 0" range="-1.8 1.8" solreflimit=".08 1"
        damping="5e-4"/>
      <geom type="box" size="0.2 0.15 0.1" mass="1"/>
      <body name="pole">
        <joint name="hinge" type="hinge" axis="0 1 0" damping="2e-6"/>
        <geom type="capsule" fromto="0 0 0 0 0 1" size="0.045" mass=".1"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="slider" gear="10" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def engine():
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_string(MODEL)
    return mujoco, model, mujoco.MjData(model)


def theirs(engine, start, actions):
    """float[steps, 4]: position, angle and both speeds, by MuJoCo."""
    mujoco, model, data = engine
    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:] = start[:2], start[2:]
    out = []
    for action in actions:
        data.ctrl[:] = action
        mujoco.mj_step(model, data)
        out.append([*data.qpos, *data.qvel])
    return np.array(out)


@pytest.fixture(scope="module")
def ours():
    @jax.jit
    def run(start, actions):
        def step(physics, action):
            physics = cartpole.move(physics, action)
            return physics, jnp.stack(physics)

        return jax.lax.scan(step, cartpole.Physics(*start), actions)[1]

    return run


STARTS = {
    "hanging": (0.0, np.pi, 0.0, 0.0),
    "upright and swinging": (0.3, 0.1, -0.5, 1.0),
    "fast": (-0.5, 2.0, 1.0, 9.0),
    "into the limit": (1.5, 3.0, 2.0, -1.0),
    "into the other limit": (-1.7, 1.0, -3.0, 2.0),
    "beyond the limit": (1.81, -2.0, 0.5, 0.0),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_it_moves_as_mujoco_does(start, engine, ours):
    actions = np.sin(np.arange(80) * 0.13 + start[0]).astype(np.float32)
    wanted = theirs(engine, start, actions)
    np.testing.assert_allclose(ours(jnp.array(start, jnp.float32), actions), wanted, rtol=2e-4, atol=2e-4)
    if "limit" in next(name for name, values in STARTS.items() if values == start):
        assert np.abs(wanted[:, 0]).max() > cartpole.RAIL, "the limit is met"


def test_the_pole_is_mujocos(engine):
    """The inertia of the capsule, and the rest of what the engine derives from the published constants."""
    _, model, _ = engine
    assert model.body_inertia[2, 0] == pytest.approx(cartpole.POLE_INERTIA, rel=1e-6)
    assert model.body_mass[1:].tolist() == [cartpole.CART_MASS, cartpole.POLE_MASS]
    assert model.dof_damping.tolist() == [cartpole.CART_DAMPING, cartpole.HINGE_DAMPING]
    assert model.dof_invweight0[0] == pytest.approx(cartpole._UPRIGHT_INVERSE, rel=1e-6)
    assert model.actuator_gear[0, 0] == cartpole.GEAR and model.opt.timestep == cartpole.STEP_SECONDS


def tolerance(x, margin, value_at_margin=0.1, quadratic=False):
    """dm_control's `rewards.tolerance` around 0."""
    scaled = abs(x) / margin
    if quadratic:
        return max(1 - (1 - value_at_margin) * scaled**2, 0)
    return np.exp(-0.5 * (scaled * np.sqrt(-2 * np.log(value_at_margin))) ** 2)


def test_the_reward_is_dm_controls():
    draw = np.random.default_rng(0)
    for x, angle, speed, turn, action in draw.normal(0, [1, 3, 1, 4, 0.7], (50, 5)).astype(np.float32):
        wanted = (1 + np.cos(angle)) / 2
        wanted *= (1 + tolerance(x, 2)) / 2
        wanted *= (4 + tolerance(action, 1, 0, quadratic=True)) / 5
        wanted *= (1 + tolerance(turn, 5)) / 2
        physics = cartpole.Physics(*map(jnp.float32, (x, angle, speed, turn)))
        np.testing.assert_allclose(cartpole.reward(physics, jnp.float32(action)), wanted, rtol=1e-5)


def test_sine_and_cosine():
    x = jnp.linspace(-100, 100, 20_001)
    for mine, exact in zip(cartpole.sin_cos(x), (np.sin, np.cos)):
        np.testing.assert_allclose(mine, exact(np.asarray(x, float)), atol=2e-7)


def test_as_an_environment():
    env = jaxes.envs.make("jaxes/cartpole_swingup")
    starts = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 500))
    x, angle, speed, turn = starts.physics
    for values, middle in ((x, 0), (angle, np.pi), (speed, 0), (turn, 0)):
        assert abs(values.mean() - middle) < 0.002 and values.std() == pytest.approx(0.01, rel=0.15)
    step = jax.jit(env.step)
    first = jax.tree.map(lambda x: x[0], starts)
    after = step(first, jnp.array([0.7]))
    physics = after.physics
    np.testing.assert_allclose(
        after.observation,
        [physics.x, np.cos(physics.angle), np.sin(physics.angle), physics.speed, physics.turn],
        rtol=1e-5,
    )
    assert after.reward == cartpole.reward(physics, jnp.float32(0.7)) and not after.done
    np.testing.assert_array_equal(step(first, jnp.array([5.0])).observation, step(first, jnp.array([1.0])).observation)
    picture, other = env.frames([jax.device_get(first.physics), jax.device_get(after.physics)])
    assert picture.shape == (360, 480, 3) and not np.array_equal(picture, other)
