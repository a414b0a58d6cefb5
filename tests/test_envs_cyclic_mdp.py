"""CyclicMDP behind both protocols: its steps, its optimum, its random policy."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes import rl
from jaxes.envs import Discrete
from jaxes.envs.own.cyclic_mdp import best_return, cyclic_mdp, random_return

VARIANTS = {"CyclicMDP": ((1, 1, 2), 1333, -6 / 13), "CyclicMDPEqual": ((1, 1, 1), 1000, -1 / 2)}


@pytest.fixture(scope="module", params=VARIANTS)
def name(request):
    return request.param


def kinds(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


def by_the_rules(rewards, actions):
    """The episode in plain Python: (states, rewards, ends)."""
    place, out = 0, []
    for action in actions:
        good = action == 1
        reward = rewards[place] if good else -1
        place = (place + 1) % len(rewards) if good else place
        out.append((np.eye(len(rewards))[place], reward, not good))
        if not good:
            break
    return tuple(map(np.array, zip(*out)))


def test_every_action_in_every_state(name):
    env = jaxes.envs.make(f"jaxes/{name}")
    rewards = VARIANTS[name][0]
    state, step = env.reset(jax.random.key(0)), jax.jit(env.step)
    assert state.observation.tolist() == [1, 0, 0] and not state.done and state.reward == 0
    for place in range(4):
        for action in range(3):
            after = step(state, jnp.int32(action))
            assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
                lambda x: (x.shape, x.dtype), state
            )
            good = action == 1
            assert float(after.reward) == (rewards[place % 3] if good else -1)
            assert bool(after.done) == (not good)
            if good:
                assert after.observation.tolist() == np.eye(3)[(place + 1) % 3].tolist()
        state = step(state, jnp.int32(1))


def test_optimum_and_random_policy_are_exact(name):
    """The episode is played by the environment; the random policy's return is summed over all its actions."""
    env = jaxes.envs.make(f"jaxes/{name}")
    rewards, best, average = VARIANTS[name]

    def step(state, t):
        each = jax.vmap(env.step, in_axes=(None, 0))(state, jnp.arange(3))
        return env.step(state, jnp.int32(1)), (each.reward, each.done)

    earned, ends = jax.device_get(jax.lax.scan(step, env.reset(jax.random.key(0)), jnp.arange(env.max_steps))[1])
    assert earned[:, 1].sum() == best == best_return(rewards, env.max_steps)
    assert not ends[:, 1].any() and ends[:, [0, 2]].all()
    alive = np.concatenate([[1], np.cumprod(1 - ends.mean(1, dtype=float))[:-1]])
    expected = np.sum(alive * earned.mean(1, dtype=float))
    np.testing.assert_allclose(expected, average, rtol=1e-12)
    np.testing.assert_allclose(random_return(rewards, 3, env.max_steps), average, rtol=1e-12)


def test_rollouts_play_to_the_limit(name):
    env = jaxes.envs.make(f"jaxes/{name}")
    policy = rl.mlp(env, hidden=(), head="categorical")
    params = jax.tree.map(jnp.zeros_like, policy.init(jax.random.key(0)))
    prefer = lambda a: jax.tree.map(lambda x: x.at[a].set(1.0) if x.ndim == 1 else x, params)
    play = jax.jit(rl.evaluation(env, policy, episodes=1))
    done = play(prefer(1), None, jax.random.key(0))
    assert done.returns.item() == VARIANTS[name][1] and done.lengths.item() == 1000 and done.truncated.item() == 1
    assert play(prefer(2), None, jax.random.key(0)).returns.item() == -1


def test_options():
    env = cyclic_mdp(5, 2, 7, (1, 2, 3, 4, 5), good_action=0)
    assert env.observation.shape == (5,) and env.action == Discrete(2) and env.max_steps == 7
    state = env.reset(jax.random.key(0))
    for reward in (1, 2, 3, 4, 5, 1):
        state = env.step(state, jnp.int32(0))
        assert state.reward == reward and not state.done
    assert best_return((1, 2, 3, 4, 5), 7) == 18
    assert jaxes.envs.make("jaxes/CyclicMDPEqual", num_states=4).observation.shape == (4,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_states": 1}, "num_states must be 2 or more, got 1"),
        ({"num_actions": 2.0}, "num_actions must be an int"),
        ({"max_steps": 0}, "max_steps must be an int of 1 or more, got 0"),
        ({"good_action": 3}, "good_action must be an int from 0 to 2, got 3"),
        ({"rewards": (1, 2)}, "rewards must be 3 finite numbers"),
        ({"rewards": (1, 2, np.nan)}, "rewards must be 3 finite numbers"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        cyclic_mdp(**options)


def test_unknown_option():
    with pytest.raises(TypeError, match="options must be those of jaxes/CyclicMDP, got size"):
        jaxes.envs.make("jaxes/CyclicMDP", size=3)


def test_pictures_show_the_place():
    env = jaxes.envs.make("jaxes/CyclicMDP")
    first, second = env.frames([0, 1])
    assert first.shape == (240, 240, 3) and first.dtype == np.uint8 and not np.array_equal(first, second)


# --- gymnasium ------------------------------------------------------------------------------------------------------


def test_gymnasium_knows_the_ids(name):
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make(f"jaxes.envs.as_gymnasium:jaxes/{name}-v0", render_mode="rgb_array")
    rewards, best, _ = VARIANTS[name]
    for actions in ([1] * 1000, [1, 1, 1, 1, 0], [2]):
        observations, earned, ends = by_the_rules(rewards, actions)
        observation, _ = env.reset(seed=1)
        assert observation.tolist() == [1, 0, 0]
        for t, action in enumerate(actions):
            observation, reward, ended, cut, _ = env.step(action)
            assert (observation.tolist(), reward, ended) == (observations[t].tolist(), earned[t], ends[t])
            assert cut == (t == 999)
    assert sum(by_the_rules(rewards, [1] * 1000)[1]) == best
    assert env.render().shape == (240, 240, 3)
    assert env.observation_space.contains(observation) and env.action_space.n == 3


@pytest.mark.filterwarnings("ignore:.*A Box observation space (minimum|maximum) value is")
def test_gymnasium_finds_nothing_to_complain_about():
    gymnasium = pytest.importorskip("gymnasium")
    from gymnasium.utils.env_checker import check_env

    check_env(gymnasium.make("jaxes.envs.as_gymnasium:jaxes/CyclicMDP-v0", render_mode="rgb_array").unwrapped)


def test_it_comes_back_as_an_environment_on_cpus():
    pytest.importorskip("gymnasium")
    env = jaxes.envs.make("gymnasium/jaxes.envs.as_gymnasium:jaxes/CyclicMDP-v0")
    assert env.max_steps == 1000 and env.action == Discrete(3) and env.observation.shape == (3,)


def test_gymnasium_is_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "jaxes.envs.as_gymnasium", raising=False)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r"pip install .*\(the extra 'gymnasium' of jaxes\)"):
        import jaxes.envs.as_gymnasium  # noqa: F401
