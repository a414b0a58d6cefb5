"""What is checked of an environment before anything is compiled, and what is converted."""

import re
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import chase, clock, linear

import jaxes
from jaxes import envs, rl
from jaxes.envs import Box, Discrete, EnvState, MultiDiscrete, contract

KEY = jax.random.key(0)


def edited(**changes):
    """`toys.chase`, whose states after a reset and a step are changed by functions of these names' fields."""
    env = chase()
    change = lambda state: state._replace(**{name: new(getattr(state, name)) for name, new in changes.items()})
    plain = lambda state: EnvState(state.physics, None, None, None)
    step = lambda state, action: change(env.step(plain(state), action))
    return env._replace(reset=lambda key: change(env.reset(key)), step=step)


def returns(env, **how):
    """The returns of eight members' episodes."""
    policy = linear()
    problem = rl.rollout(env, policy, normalize=False, **how)
    members = jax.random.normal(jax.random.key(1), (8, 2))
    return jax.jit(lambda state: problem.evaluate(state, KEY, lambda: members, jnp.arange(8))[0])(problem.init(KEY))


@pytest.fixture(scope="module")
def wanted():
    return returns(chase()), returns(chase(), max_steps=3)


# --- what is converted ----------------------------------------------------------------------------------------------

HARMLESS = {
    "reward of shape (1,)": {"reward": lambda r: r[None]},
    "reward of float16": {"reward": lambda r: r.astype(jnp.float16)},
    "done is a float": {"done": lambda d: d.astype(jnp.float32)},
    "done is an int": {"done": lambda d: d.astype(jnp.int32)},
    "done of shape (1,)": {"done": lambda d: d[None]},
    "done is a float of shape (1,)": {"done": lambda d: d[None].astype(jnp.bfloat16)},
    "observation of float16": {"observation": lambda x: x.astype(jnp.float16)},
}


@pytest.mark.parametrize("what", HARMLESS)
def test_harmless_differences_are_converted(what, wanted):
    env = edited(**HARMLESS[what])
    rough = {"rtol": 2e-2, "atol": 1e-2} if "16" in what else {"rtol": 1e-6}
    np.testing.assert_allclose(returns(env), wanted[0], **rough)
    np.testing.assert_allclose(returns(env, mode="scan"), wanted[0], **rough)
    checked = envs.check(env)
    state = checked.step(checked.reset(KEY), jnp.ones(1))
    assert (state.reward.shape, state.reward.dtype) == ((), jnp.float32)
    assert (state.done.shape, state.done.dtype) == ((), jnp.bool_)
    assert state.observation.dtype == jnp.float32


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.bool_, jnp.uint8])
def test_rewards_that_are_whole_numbers(dtype):
    env = edited(reward=lambda r: (r > 0.5).astype(dtype))
    np.testing.assert_array_equal(returns(env), returns(edited(reward=lambda r: (r > 0.5).astype(jnp.float32))))
    assert returns(env).max() > 0


def test_python_numbers_are_fine(wanted):
    env = edited(done=lambda d: False)
    assert (returns(env, max_steps=3) >= wanted[1]).all()
    assert returns(edited(reward=lambda r: 1)).tolist() == returns(edited(reward=lambda r: jnp.float32(1))).tolist()


def test_a_state_whose_reset_is_narrower_than_its_step():
    """int32 at the reset and float32 after a step, as `time=0` and `time + 0.1` give."""
    env = chase()

    def reset(key):
        state = env.reset(key)
        return state._replace(physics=(0, state.physics))

    def step(state, action):
        time, physics = state.physics
        then = env.step(state._replace(physics=physics), action)
        return then._replace(physics=(time + 0.25, then.physics), reward=then.reward + 0 * time)

    np.testing.assert_allclose(returns(env._replace(reset=reset, step=step)), returns(env), rtol=1e-6)


@flax.struct.dataclass
class Braxlike:
    """A state as Brax has it: other names, a float `done`, and no `_replace`."""

    pipeline: Any
    observation: Any
    reward: Any
    done: Any


def test_a_state_of_another_class(wanted):
    env = chase()
    theirs = lambda state: Braxlike(state.physics, state.observation, state.reward, state.done.astype(jnp.float32))
    step = lambda state, action: theirs(env.step(EnvState(state.pipeline, None, None, None), action))
    frames = lambda moments: [moment.pipeline[0] for moment in moments]
    other = env._replace(reset=lambda key: theirs(env.reset(key)), step=step, frames=frames)
    np.testing.assert_allclose(returns(other), wanted[0], rtol=1e-6)
    checked = envs.check(other)
    assert checked.frames([checked.reset(KEY).physics]) == [0.0]


def test_what_needs_no_conversion_stays_as_it_is():
    for env in (chase(), clock(nested=True), envs.make("jaxes/cartpole_swingup"), envs.make("jaxes/tetris")):
        assert envs.check(env) is env


def test_what_is_known_of_one_environment_is_not_taken_for_another():
    """The same functions with another time limit, other actions or pictures."""
    for env in (chase(), edited(reward=lambda r: r[None])):
        assert contract.checked(env).max_steps == 20
        drawn = lambda moments: [moment[0] for moment in moments]
        other = env._replace(max_steps=3, action=Box(np.float32([-0.1]), np.float32([0.1])), frames=drawn, name="other")
        checked = contract.checked(other)
        assert (checked.max_steps, checked.name, checked.action.high.item()) == (3, "other", np.float32(0.1))
        assert contract.checked(checked) is checked
        assert checked.frames([checked.reset(KEY).physics])[0] == 0
        with pytest.raises(ValueError, match=r"must have the shape that env.observation has"):
            contract.checked(env._replace(observation=jax.ShapeDtypeStruct((5,), jnp.float32)))


def test_functions_need_not_be_hashable():
    class Step(list):
        def __call__(self, state, action):
            return chase().step(state, action)

    env = chase()._replace(step=Step())
    assert contract.checked(env) is env and contract.checked(env) is env


def test_it_is_looked_at_once():
    traced = []
    env = chase()
    counted = env._replace(step=lambda state, action: traced.append(1) or env.step(state, action))
    rl.rollout(counted, linear())
    some = len(traced)
    assert some <= 2
    rl.rollout(counted, linear())
    rl.evaluation(counted, linear())
    assert len(traced) == some


# --- what is refused ------------------------------------------------------------------------------------------------


def growing(state, action):
    env = chase()
    then = env.step(EnvState(state.physics[:2], None, None, None), action)
    return then._replace(physics=(*then.physics, 0.0))


def python_if(state, action):
    return chase().step(state, action) if state.reward > 0 else state


def numpy_of(state, action):
    return chase().step(state, jnp.asarray(np.clip(np.asarray(action), -1, 1)))


class Remembering:
    """Keeps what it should put into the state."""

    def __init__(self):
        self.env, self.state, self.calls = chase(), None, 0

    def reset(self, key):
        self.state = self.env.reset(key)
        return self.state

    def step(self, state, action):
        self.state = self.env.step(self.state, action)
        return self.state

    def look(self, state, action):
        return self.env.step(self.state, action)

    def count(self, state, action):
        self.calls += 1
        return self.env.step(state, action * self.calls)


def halving(state, action):
    after = chase().step(state, action)
    return after._replace(observation=after.observation.astype(jnp.float16))


def widening(state, action):
    """The dtype of a number in the state is another one after every step."""
    physics, count = state.physics
    wider = {jnp.dtype("int8"): jnp.int16, jnp.dtype("int16"): jnp.int32}[count.dtype]
    after = chase().step(state._replace(physics=physics), action)
    return after._replace(physics=(after.physics, count.astype(wider)))


def with_count(key):
    start = chase().reset(key)
    return start._replace(physics=(start.physics, jnp.int8(0)))


def drawing(state, action):
    return chase().step(state, action + np.float32(np.random.normal()))


class Odd(NamedTuple):
    obs: Any
    rew: Any


stateful = Remembering()

REFUSED = {
    "reward of three": (
        edited(reward=lambda r: jnp.ones(3) * r),
        r"reward of toys/chase after reset must be one number",
    ),
    "complex reward": (
        edited(reward=lambda r: jax.lax.complex(r, r)),
        "reward .* must be a real number, got an array complex64",
    ),
    "reward None": (edited(reward=lambda r: None), "reward .* must be one number, got a NoneType"),
    "done of two": (edited(done=lambda d: jnp.stack([d, d])), "done .* must be one number, got an array bool.2."),
    "observation of another shape": (
        edited(observation=lambda x: x[None]),
        r"observation of toys/chase after reset must have the shape that env.observation has, \(2,\), got \(1, 2\)",
    ),
    "observation of ints for floats": (
        edited(observation=lambda x: x)._replace(observation=jax.ShapeDtypeStruct((2,), jnp.int32)),
        "must have the dtype that env.observation has, int32, got float32",
    ),
    "observation of another tree": (edited(observation=lambda x: {"x": x}), "must be the tree that env.observation is"),
    "a step that changes the tree": (
        chase()._replace(step=growing),
        "reset and step of toys/chase must return the same",
    ),
    "a step of half precision": (
        chase()._replace(step=halving),
        r"reset and step of toys/chase must give observation the same shape and dtype; "
        r"reset gives float32\[2\], and step gives float16\[2\]$",
    ),
    "a step that widens again and again": (
        chase()._replace(reset=with_count, step=widening),
        r"step of toys/chase must keep the dtypes of its state; physics\[1\] was int16 and becomes int32$",
    ),
    "a tuple": (
        chase()._replace(reset=lambda key: (jnp.zeros(2), {})),
        "reset .* must return a jaxes.envs.EnvState, got",
    ),
    "an array": (
        chase()._replace(step=lambda state, action: state.observation),
        r"step of toys/chase must return a jaxes.envs.EnvState, got an array float32\[2\]",
    ),
    "another named tuple": (
        chase()._replace(reset=lambda key: Odd(0, 0)),
        "must return a jaxes.envs.EnvState, got an Odd",
    ),
    "text in the state": (edited(physics=lambda p: (*p, "name")), "reset of toys/chase cannot be traced: .*"),
    "reset without a key": (chase()._replace(reset=lambda: None), "reset of toys/chase cannot be traced: .*argument"),
    "an if in Python": (chase()._replace(step=python_if), "step of toys/chase cannot be compiled, because it does in"),
    "NumPy": (chase()._replace(step=numpy_of), "step of toys/chase cannot be compiled, because it does in Python or"),
    "NumPy's random numbers": (
        chase()._replace(step=drawing),
        "step of toys/chase is another program when it is traced",
    ),
    "a counter in Python": (chase()._replace(step=stateful.count), "is another program when it is traced again"),
    "arrays kept outside": (
        chase()._replace(reset=stateful.reset, step=stateful.step),
        "keeps arrays from one call to",
    ),
    "arrays of a reset": (chase()._replace(reset=stateful.reset, step=stateful.look), "keeps arrays from one call to"),
    "no function": (chase()._replace(step=None), "step of toys/chase must be a function, got None"),
    "observation as a shape": (chase()._replace(observation=(2,)), r"must be a jax.ShapeDtypeStruct .* got \(2,\)"),
    "max_steps 0": (chase()._replace(max_steps=0), "max_steps of toys/chase must be an int of 1 or more, got 0"),
    "max_steps 10.0": (
        chase()._replace(max_steps=10.0),
        "max_steps of toys/chase must be an int of 1 or more, got 10.0",
    ),
    "step_seconds": (chase()._replace(step_seconds=-1.0), "step_seconds of toys/chase must be a number of 0 or more"),
    "action None": (chase()._replace(action=None), "action of toys/chase must be a jaxes.envs.Box, Discrete or Mul"),
    "low of another shape": (chase()._replace(action=Box(np.zeros(2), np.ones(3))), "must be arrays of one shape"),
    "lists": (chase()._replace(action=Box([-1.0], [1.0])), "low and high of the action .* must be arrays of one"),
    "low above high": (chase()._replace(action=Box(np.ones(1), np.zeros(1))), "low of the action .* not be above high"),
    "no choice": (chase()._replace(action=Discrete(0)), "n of the action of toys/chase must be an int of 1 or more"),
    "no counts": (
        chase()._replace(action=MultiDiscrete((2, 0))),
        "counts of the action of toys/chase must be ints of 1",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_environment_is_told_in_a_sentence(what):
    env, message = REFUSED[what]
    for use in (envs.check, lambda env: rl.rollout(env, linear()), lambda env: rl.evaluation(env, linear())):
        with pytest.raises((TypeError, ValueError), match=message):
            use(env)


@pytest.mark.parametrize(
    ("dtypes", "fine"),
    [((jnp.int32, jnp.float32), True), ((jnp.float32, jnp.int32), False), ((jnp.bool_, jnp.int32), True)],
)
def test_dtypes_that_differ_between_reset_and_step(dtypes, fine):
    plain, (first, then) = chase(), dtypes

    def reset(key):
        return plain.reset(key)._replace(physics=(plain.reset(key).physics, jnp.zeros(3, first)))

    def step(state, action):
        after = plain.step(state._replace(physics=state.physics[0]), action)
        return after._replace(physics=(after.physics, jnp.ones(3, then)))

    env = plain._replace(reset=reset, step=step)
    if fine:
        assert envs.check(env).reset(KEY).physics.physics[1].dtype == then
        return
    with pytest.raises(
        ValueError, match=re.escape("must give physics[1] the same shape and dtype; reset gives float32[3]")
    ):
        envs.check(env)


def test_other_things_than_environments():
    gymnasium = pytest.importorskip("gymnasium")
    cart = gymnasium.make("CartPole-v1")
    for thing, message in (
        (cart, r"got an environment of gymnasium \(TimeLimit\): give jaxes.envs.make\('gymnasium/CartPole-v1'\)"),
        (
            cart.unwrapped,
            r"got an environment of gymnasium \(CartPoleEnv\): give jaxes.envs.make\('gymnasium/CartPole-v1'\)",
        ),
        ("brax/ant", r"got the name 'brax/ant': give jaxes.envs.make\('brax/ant'\)"),
        (Remembering, "got the class Remembering: make one with jaxes.envs.make"),
        (Remembering(), "got a Remembering: make one with"),
        (chase, "got the function chase: give what it returns"),
        (None, "got a NoneType"),
    ):
        for use in (
            envs.check,
            lambda env: rl.rollout(env, linear()),
            lambda env: rl.evaluation(env, linear()),
            rl.mlp,
            rl.gru,
            rl.cnn,
            rl.values,
            lambda env: rl.policy(linear, env),
            lambda env: rl.reference_batch(env, KEY),
            lambda env: envs.repeated(env, 2),
            lambda env: rl.play(env, linear(), lambda ids=None: None, KEY[None, None], None, 5),
        ):
            with pytest.raises(TypeError, match="env must be a jaxes.envs.Env, " + message):
                use(thing)


def test_an_environment_in_processes_is_made_and_stepped(monkeypatch):
    pytest.importorskip("gymnasium")
    env = envs.make("gymnasium/CartPole-v1")
    assert envs.check(env) is env
    with pytest.raises(ValueError, match=r"observations of the lanes of gymnasium/CartPole-v1 must have the shapes"):
        envs.check(env._replace(observation=jax.ShapeDtypeStruct((5,), jnp.float32)))


def test_environments_of_the_suites_are_taken_for_granted(monkeypatch):
    env = envs.make("jaxes/CyclicMDP")
    monkeypatch.setattr(contract, "traced", lambda env: pytest.fail("traced"))
    assert contract.checked(env) is env
    with pytest.raises(pytest.fail.Exception):
        contract.checked(jaxes.envs.make("jaxes/CyclicMDP")._replace(step=env.reset))


def test_other_things_than_policies():
    import flax.linen as nn

    for thing, message in (
        (nn.Dense(1), r"the Flax module Dense: give jaxes.rl.policy\(module, env\)"),
        (rl.mlp, "mlp: give what it returns"),
        (None, r"NoneType: give jaxes.rl.mlp\(env\)"),
        (chase(), r"Env: give jaxes.rl.mlp\(env\)"),
    ):
        for use in (rl.rollout, rl.evaluation):
            with pytest.raises(TypeError, match=f"policy must be a jaxes.rl.Policy, got {message}"):
                use(chase(), thing)
    with pytest.raises(TypeError, match=r"env must be a jaxes.envs.Env, got a Policy"):
        rl.rollout(linear(), chase())


def test_planners_and_gymnasium_look_at_it_too():
    from jaxes import planning

    with pytest.raises(TypeError, match=r"env must be a jaxes.envs.Env, got a NoneType"):
        planning.simulator(None)
    env = edited(reward=lambda r: r[None], done=lambda d: d.astype(jnp.float32))
    step, reward = planning.simulator(env)
    state = envs.check(env).reset(KEY)
    assert (
        step(state, jnp.ones(1)).done.dtype == jnp.bool_
        and reward(state, jnp.ones(1), step(state, jnp.ones(1))).shape == ()
    )
    pytest.importorskip("gymnasium")
    from jaxes.envs.as_gymnasium import AsGymnasium

    with pytest.raises(TypeError, match=r"env must be a jaxes.envs.Env, got the name 'brax/ant'"):
        AsGymnasium("brax/ant")
    assert isinstance(AsGymnasium(env).reset(seed=0)[0], np.ndarray)
