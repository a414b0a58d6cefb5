"""Environments of gymnasium of every kind: what `gymnasium.make` gives, and what a policy sees of it."""

import functools
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest

import jaxes
from jaxes import envs, rl
from jaxes.envs import Box, Discrete, MultiDiscrete
from jaxes.training import video

gymnasium = pytest.importorskip("gymnasium")
registered = pytest.importorskip("registered")

KEY = jax.random.key(0)
LANE = np.zeros(1, int)


def numbers(observation):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(observation)])


def a_generation(env, **where):
    """The infos of a generation of a small strategy."""
    pictures = any(len(x.shape) != 1 for x in jax.tree.leaves(env.observation))
    head = "tanh" if isinstance(env.action, Box) else "categorical"
    if pictures:
        import flax.linen as nn

        class Flat(nn.Module):
            outputs: int

            @nn.compact
            def __call__(self, x):
                flat = [jax.numpy.ravel(leaf).astype(jax.numpy.float32) for leaf in jax.tree.leaves(x)]
                return nn.Dense(self.outputs)(jax.numpy.concatenate(flat))

        policy = rl.policy(Flat(rl.policies.heads.head(env, head).outputs), env, head=head)
    else:
        policy = rl.mlp(env, (4,), head=head)
    problem = rl.rollout(env, policy, lanes=4, **where)
    strategy = jaxes.open_es(8, 0.1)
    carry = strategy.init(KEY, policy.init(KEY)), problem.init(KEY)
    return jaxes.generation(strategy, problem)(carry)


@pytest.mark.parametrize("name", ["gymnasium/Pendulum-v1", "mujoco/Hopper-v5"])
@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_a_time_limit_may_be_any_int(name, kind):
    """gymnasium itself asks for Python's."""
    env = envs.make(name, max_episode_steps=kind(5))
    assert env.max_steps == 5 and type(env.max_steps) is int


# --- the same as gymnasium.make --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "limit"),
    [
        ("jaxes-tests/Wrapped-v0", {}, 10),
        ("jaxes-tests/Inside-v0", {}, 10),
        ("jaxes-tests/Walk-v0", {"max_episode_steps": 20}, 20),
        ("jaxes-tests/Walk-v0", {}, 50),
        ("jaxes-tests/Unlimited-v0", {}, 10_000),
        ("CartPole-v1", {"max_episode_steps": 20}, 20),
        ("Pendulum-v1", {"g": 5.0}, 200),
    ],
)
def test_it_is_what_gymnasium_makes(name, options, limit):
    env, theirs = envs.make(f"gymnasium/{name}", **options), gymnasium.make(name, **options)
    assert env.max_steps == limit and env.observation.shape == theirs.observation_space.shape
    lanes = env.lanes(2)
    lane = np.array([1])
    for seed in range(3):
        lanes.reset(1, seed)
        theirs.action_space.seed(seed)
        observation, _ = theirs.reset(seed=seed)
        for t in range(env.max_steps):
            np.testing.assert_array_equal(lanes.observations[1], observation)
            action = theirs.action_space.sample()
            rewards, done = lanes.step(lane, np.asarray(action)[None])
            observation, reward, ended, cut, _ = theirs.step(action)
            assert rewards[0] == reward
            if ended or cut:
                assert done[0] == ended or t + 1 == limit
                break
            assert not done[0]


@pytest.mark.parametrize("name", ["Wrapped-v0", "Inside-v0"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_time_limit_is_told_from_an_end(name, times):
    """Wherever it stands among the wrappers."""
    env = envs.repeated(envs.make(f"gymnasium/jaxes-tests/{name}"), times)
    (_, state), _ = a_generation(env, workers=0)
    assert int(state.episodes) == int(state.truncated) == 8 and int(state.steps) == 8 * -(-10 // times)


def test_an_environment_that_cuts_its_episodes_itself():
    """Some of them end in the step in which they are cut, and count as ended."""
    (_, state), _ = a_generation(envs.make("gymnasium/jaxes-tests/Cut-v0"), workers=1)
    assert (int(state.episodes), int(state.steps)) == (8, 40) and 0 < int(state.truncated) < 8
    theirs, cut = gymnasium.make("jaxes-tests/Cut-v0"), 0
    lanes = envs.make("gymnasium/jaxes-tests/Cut-v0").lanes(2)
    for seed in range(20):
        lanes.reset(1, seed)
        theirs.reset(seed=seed)
        for _ in range(5):
            _, done = lanes.step(np.array([1]), np.zeros((1, 1)))
            *_, ended, truncated, _ = theirs.step(np.zeros(1, np.float32))
            assert (done[0], lanes.truncated[1]) == (ended or truncated, truncated and not ended)
        cut += lanes.truncated[1]
    assert 0 < cut < 20 and not lanes.truncated[0]


def test_only_what_has_pictures_is_drawn():
    """The walk has no render mode; CartPole has."""
    assert envs.make("gymnasium/CartPole-v1").film is not None
    walk = envs.make("gymnasium/jaxes-tests/Walk-v0")
    assert walk.film is None and envs.repeated(walk, 2).film is None
    with pytest.raises(ValueError, match="gymnasium/jaxes-tests/Walk-v0 cannot draw itself: it has no render mode rgb"):
        video.drawable(walk)


@pytest.mark.parametrize("suite", ["gymnasium/CartPole-v1", "mujoco/Hopper-v5"])
@pytest.mark.parametrize("limit", [-1, 0, 2.5, "20", True])
def test_a_time_limit_is_a_number_of_steps(suite, limit):
    with pytest.raises(ValueError, match=f"max_episode_steps must be an int of 1 or more, got {limit!r}"):
        envs.make(suite, max_episode_steps=limit)


@pytest.mark.parametrize(
    ("name", "options", "quick"),
    [
        ("Hopper-v5", {}, True),
        ("Hopper-v5", {"max_episode_steps": 7, "ctrl_cost_weight": 0.5}, True),
        ("Hopper-v5", {"terminate_when_unhealthy": False}, True),
        ("Hopper-v5", {"exclude_current_positions_from_observation": False}, False),
        ("Humanoid-v5", {"include_cvel_in_observation": False}, False),
        ("Ant-v5", {"use_contact_forces": True, "include_cfrc_ext_in_observation": False}, False),
    ],
)
def test_mujoco_with_options(name, options, quick):
    """Where our own arithmetic does not know an option, gymnasium's environments are stepped."""
    options = {key: value for key, value in options.items() if key != "use_contact_forces"}
    env = envs.make(f"mujoco/{name}", **options)
    assert (env.lanes.func.__name__ == "MujocoLanes") is quick and env.name == f"mujoco/{name}"
    theirs = gymnasium.make(f"{name}", **options)
    assert env.observation.shape == theirs.observation_space.shape
    assert env.max_steps == options.get("max_episode_steps", 1000)
    lanes = env.lanes(1)
    lanes.reset(0, 5)
    observation, _ = theirs.reset(seed=5)
    theirs.action_space.seed(0)
    for _ in range(min(env.max_steps, 200)):
        np.testing.assert_array_equal(lanes.observations[0], observation)
        action = theirs.action_space.sample()
        rewards, done = lanes.step(LANE, action[None])
        observation, reward, ended, _, _ = theirs.step(action)
        assert (rewards[0], done[0]) == (reward, ended)
        if ended:
            break


def test_an_id_that_was_registered_anew_is_the_new_one():
    spec = gymnasium.spec("Hopper-v5")
    try:
        gymnasium.registry["Hopper-v5"] = gymnasium.envs.registration.EnvSpec("Hopper-v5", registered.wrapped)
        env = envs.make("mujoco/Hopper-v5")
        assert (env.observation.shape, env.max_steps) == ((3,), 10)
        assert int(a_generation(env, workers=1)[0][1].steps) == 80, "workers make the same"
    finally:
        gymnasium.registry["Hopper-v5"] = spec


# --- names ----------------------------------------------------------------------------------------------------------


def test_a_name_without_a_version_is_the_newest():
    assert envs.make("gymnasium/CartPole").name == "gymnasium/CartPole-v1"
    env = envs.make("gymnasium/jaxes-tests/Walk")
    assert (env.name, env.max_steps) == ("gymnasium/jaxes-tests/Walk-v2", 30)


def test_an_option_that_it_does_not_have():
    with pytest.raises(ValueError, match=r"gymnasium could not make 'CartPole-v1'.*colour"):
        envs.make("gymnasium/CartPole-v1", colour="red")


SCRIPT = """
import gymnasium, jax, jaxes, sys
sys.path.insert(0, "tests")
import registered
from jaxes import rl


class Mine(registered.Walk):
    pass


gymnasium.register("Mine-v0", {entry}, max_episode_steps=20)
if __name__ == "__main__":
    env = jaxes.envs.make("gymnasium/{name}")
    policy = rl.mlp(env, (4,))
    problem = rl.rollout(env, policy, workers={workers}, lanes=4)
    print("made")
    strategy = jaxes.open_es(8, 0.1)
    carry = strategy.init(jax.random.key(0), policy.init(jax.random.key(0))), problem.init(jax.random.key(0))
    (_, state), info = jaxes.generation(strategy, problem)(carry)
    print(int(state.episodes), float(info.mean))
"""


@pytest.mark.parametrize("entry", ["Mine", "'__main__:Mine'", "lambda **how: registered.Walk(**how)"])
def test_an_id_of_the_users_script_is_refused_before_any_work(entry, tmp_path):
    out = run(tmp_path, entry, "Mine-v0", 2)
    assert out.returncode == 1 and "made" not in out.stdout
    assert "ValueError: " in out.stderr and "workers=0" in out.stderr and "in this process" in out.stderr


def run(folder, entry, name, workers):
    script = folder / "script.py"
    script.write_text(SCRIPT.format(entry=entry, name=name, workers=workers))
    return subprocess.run([sys.executable, script], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("entry", "name", "workers"),
    [
        ("Mine", "Mine-v0", 0),
        ("registered.Walk", "Mine-v0", 1),
        ("'registered:Walk'", "registered:jaxes-tests/Walk-v2", 1),
    ],
)
def test_ids_that_workers_can_make(entry, name, workers, tmp_path):
    out = run(tmp_path, entry, name, workers)
    assert out.stdout.splitlines()[-1].startswith("8 "), out.stderr[-2000:]


# --- observations ---------------------------------------------------------------------------------------------------

FLAT = ["discrete", "discrete from 3", "multi", "multi of two axes", "binary", "tuple", "dict", "scalar"]


@pytest.mark.parametrize("seen", FLAT)
def test_choices_are_one_hot_and_parts_follow_each_other(seen):
    """As by gymnasium's FlattenObservation."""
    env = envs.make("gymnasium/jaxes-tests/Walk-v0", seen=seen)
    theirs = gymnasium.wrappers.FlattenObservation(gymnasium.make("jaxes-tests/Walk-v0", seen=seen))
    assert env.observation == jax.ShapeDtypeStruct(theirs.observation_space.shape, np.float32)
    lanes = env.lanes(2)
    for seed in range(5):
        lanes.reset(1, seed)
        np.testing.assert_array_equal(lanes.observations[1], theirs.reset(seed=seed)[0])
        lanes.step(np.array([1]), np.zeros((1, 1), np.float32))
        np.testing.assert_array_equal(lanes.observations[1], theirs.step(np.zeros(1))[0])
    state, info = a_generation(env, workers=0)
    assert np.isfinite(info.mean) and int(state[1].invalid_observations) == 0


@pytest.mark.parametrize("seen", ["pictures", "pictures in a tuple"])
def test_pictures_stay_pictures(seen):
    env = envs.make("gymnasium/jaxes-tests/Walk-v0", seen=seen)
    theirs = gymnasium.make("jaxes-tests/Walk-v0", seen=seen)
    lanes = env.lanes(2)
    lanes.reset(1, 3)
    want, _ = theirs.reset(seed=3)
    if seen == "pictures":
        assert env.observation["a"] == jax.ShapeDtypeStruct((4, 4, 1), np.uint8)
        np.testing.assert_array_equal(lanes.observations["a"][1], want["a"])
        assert lanes.observations["z"][1].tolist() == np.eye(3)[want["z"]].tolist()
    else:
        np.testing.assert_array_equal(lanes.observations[0][1], want[0])
        np.testing.assert_array_equal(lanes.observations[1][0][1], want[1][0])
    assert np.isfinite(a_generation(env, workers=0, normalize=False)[1].mean)


@pytest.mark.parametrize("seen", ["box", "list", "int64"])
def test_boxes_stay_boxes(seen):
    env = envs.make("gymnasium/jaxes-tests/Walk-v0", seen=seen)
    theirs = gymnasium.make("jaxes-tests/Walk-v0", seen=seen)
    assert env.observation == jax.ShapeDtypeStruct(theirs.observation_space.shape, np.float32)
    lanes = env.lanes(1)
    lanes.reset(0, 3)
    np.testing.assert_array_equal(lanes.observations[0], theirs.reset(seed=3)[0])
    assert np.isfinite(a_generation(env, workers=0)[1].mean)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seen": "text"}, "jaxes-tests/Walk-v0 must have observations of a fixed size .* got Text"),
        ({"seen": "sequence in a dict"}, r"must have observations of a fixed size .* got Sequence.* for \['s'\]"),
        ({"seen": "wrong"}, r"an observation of .* is none of its observation space: shape \(1,\) where \(2,\) was"),
        ({"acted": "tuple"}, "must have actions that are a Box, Discrete, MultiDiscrete or MultiBinary, got Tuple"),
        ({"paid": "two"}, "reward of jaxes-tests/Walk-v0 must be one number, got array"),
        ({"paid": "none"}, "reward of jaxes-tests/Walk-v0 must be one number, got None"),
        (
            {"interface": "gym"},
            r"reset of .* must return \(observation, info\) .* got ndarray: it has the interface of gym",
        ),
        (
            {"interface": "two"},
            r"reset of .* must return \(observation, info\) .* got ndarray: it has the interface of gym",
        ),
        ({"interface": "four"}, "step of .* got a tuple of 4: it has the interface of gym before 0.26"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        envs.make("gymnasium/jaxes-tests/Walk-v0", **options)


def test_a_reset_without_a_seed_is_refused():
    with pytest.raises(
        ValueError, match="reset of jaxes-tests/Old-v0 must take a seed, as gymnasium's interface has it"
    ):
        envs.make("gymnasium/jaxes-tests/Old-v0")


# --- rewards and actions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paid", ["array", "float32 array", "int", "bool"])
def test_rewards_may_be_arrays_of_one_number(paid):
    env = envs.make("gymnasium/jaxes-tests/Walk-v0", paid=paid)
    lanes, theirs = env.lanes(1), gymnasium.make("jaxes-tests/Walk-v0", paid=paid)
    lanes.reset(0, 1)
    theirs.reset(seed=1)
    action = np.ones((1, 1), np.float32)
    for _ in range(5):
        rewards, _ = lanes.step(LANE, action)
        assert rewards.shape == (1,) and rewards[0] == float(np.ravel(theirs.step(action[0])[1])[0])


@pytest.mark.parametrize("acted", [name for name in registered.ACTED if name != "tuple"])
def test_every_kind_of_action_is_one_of_its_space(acted):
    env = envs.make("gymnasium/jaxes-tests/Walk-v0", acted=acted)
    head = rl.policies.heads.head(env, "tanh" if isinstance(env.action, Box) else "categorical")
    lanes, space = env.lanes(1), registered.ACTED[acted]
    lanes.reset(0, 0)
    taken = lanes._envs[0].unwrapped.taken
    outputs = 3 * jax.random.normal(KEY, (20, head.outputs))
    for y in np.asarray(outputs):
        lanes.step(LANE, np.asarray(head.act(y, None))[None])
        assert space.contains(taken[-1]), taken[-1]
    assert len({str(action) for action in taken}) > 1
    assert np.isfinite(a_generation(env, workers=0)[1].mean)


def test_each_number_of_a_vector_of_choices_is_its_own():
    env = envs.make("gymnasium/jaxes-tests/Walk-v0", acted="multi from 1")
    assert env.action == MultiDiscrete((2, 3)) and envs.action_size(env) == 2
    head = rl.policies.heads.head(env, "categorical")
    action = head.act(np.float32([0, 1, 5, 2, 3]), None)
    assert head.outputs == 5 and action.dtype == np.int32 and action.tolist() == [1, 0]
    lanes = env.lanes(1)
    lanes.reset(0, 0)
    lanes.step(LANE, np.asarray(action)[None])
    assert lanes._envs[0].unwrapped.taken[-1].tolist() == [2, -1], "choices begin at 1 and at -1"
    sample = rl.policies.heads.head(env, "categorical:sample")
    draws = jax.vmap(functools.partial(sample.act, np.zeros(5, np.float32)))(jax.random.split(KEY, 1000))
    assert sample.random and draws.min() == 0 and draws.max(axis=0).tolist() == [1, 2]
    assert abs(float(np.corrcoef(draws.T)[0, 1])) < 0.1, "drawn apart"
    with pytest.raises(ValueError, match=r"needs vector actions; .* has vectors of 2 choices: use 'categorical'"):
        rl.policies.heads.head(env, "tanh")
    assert rl.reference_batch(env, KEY, size=4, steps=5).shape == (4, 2)


def test_choices_of_a_compiled_environment():
    """The i-th choice is paid for where it is i."""
    import jax.numpy as jnp
    import toys

    plain = toys.chase()
    step = lambda state, action: plain.step(state, 0.1 * action[:1].astype(jnp.float32))._replace(
        reward=jnp.sum(action == jnp.arange(3), dtype=jnp.float32)
    )
    env = plain._replace(step=step, action=MultiDiscrete((2, 3, 4)), max_steps=5)
    policy, strategy = rl.mlp(env, (), head="categorical"), jaxes.open_es(64, 0.5, learning_rate=0.3)
    problem = rl.rollout(env, policy)
    carry = strategy.init(KEY, policy.init(KEY)), problem.init(KEY)
    many = jax.jit(lambda carry: jax.lax.scan(lambda c, _: jaxes.generation(strategy, problem)(c), carry, length=30))
    assert many(carry)[1].mean[-1] > 14, "15 at most"
    assert rl.reference_batch(env, KEY, size=4, steps=5).shape == (4, 2)


@pytest.fixture(autouse=True)
def foreign_warnings():
    """gymnasium and MuJoCo warn of their own accord."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="gymnasium")
        warnings.filterwarnings("ignore", message=".*ignores the seed.*")
        yield


def test_the_action_of_a_choice_is_an_int():
    env = envs.make("gymnasium/jaxes-tests/Walk-v0", acted="discrete from -1")
    assert env.action == Discrete(3)
    lanes = env.lanes(1)
    lanes.reset(0, 0)
    lanes.step(LANE, np.array([2]))
    assert lanes._envs[0].unwrapped.taken[-1] == 1
