"""Planning by cross-entropy: the planner, episodes under it, and what it is told to do otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import chase, clock

import jaxes
from jaxes import planning
from jaxes.envs import Box

KEY = jax.random.key(0)
LIMIT = np.ones(1, np.float32)


def move(x, action):
    """A point on a line."""
    return x + action[0]


def near(target):
    """The reward of being near a target."""
    return lambda before, action, after: -((after - target) ** 2)


def reference(start, noise, elites, target):
    """PlaNet's Algorithm 2 in plain NumPy; noise [iterations, candidates, horizon]."""
    mean, sigma = np.zeros(noise.shape[2]), np.ones(noise.shape[2])
    for z in noise:
        actions = np.clip(mean + sigma * z, -1, 1)
        gains = -((start + np.cumsum(actions, axis=1) - target) ** 2).sum(axis=1)
        best = actions[np.argsort(-gains)[:elites]]
        mean, sigma = best.mean(0), np.sqrt(best.var(0) + 1e-6)
    return mean, sigma


def noise_of(key, iterations, candidates, horizon):
    draw = lambda t: jaxes.noise.gaussian().sample(
        jax.random.fold_in(key, t), jnp.arange(candidates), jnp.zeros((horizon, 1))
    )
    return np.array([draw(t)[..., 0] for t in range(iterations)])


@pytest.fixture(scope="module")
def point():
    """A planner for `near(2.5)`, compiled."""
    return jax.jit(planning.cem_mpc(move, near(2.5), horizon=4, candidates=40, elites=8, iterations=5))


def test_the_plan_is_that_of_the_paper(point):
    action, belief = point(jnp.float32(0.3), KEY)
    mean, sigma = reference(0.3, noise_of(KEY, 5, 40, 4), 8, 2.5)
    np.testing.assert_allclose(belief.mean[:, 0], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(belief.sigma[:, 0], sigma, rtol=1e-3, atol=1e-5)
    assert action.shape == (1,) and action[0] == belief.mean[0, 0]
    assert -((0.7 - 0.3 + 1) ** 2) < belief.value < 0


def test_it_goes_as_far_as_it_may(point):
    assert point(jnp.float32(0.0), KEY)[0] > 0.9
    assert point(jnp.float32(9.0), KEY)[0] < -0.9


def test_many_environments_at_once(point):
    starts, keys = jnp.array([0.0, 2.4, 9.0]), jax.random.split(KEY, 3)
    actions, beliefs = jax.jit(jax.vmap(point))(starts, keys)
    for i in range(3):
        one, belief = point(starts[i], keys[i])
        np.testing.assert_allclose(actions[i], one, atol=1e-5)
        np.testing.assert_allclose(beliefs.mean[i], belief.mean, atol=1e-5)


def test_actions_are_in_their_own_units():
    box = Box(np.array([2.0, -5.0], np.float32), np.array([4.0, 5.0], np.float32))
    go = lambda x, action: x + action
    gain = lambda before, action, after: -jnp.sum((action - jnp.array([3.5, -4.0])) ** 2)
    plan = planning.cem_mpc(go, gain, 2, 100, 10, 8, action=box)
    action, belief = jax.jit(plan)(jnp.zeros(2), KEY)
    np.testing.assert_allclose(action, [3.5, -4.0], atol=0.05)
    assert belief.mean.shape == (2, 2)
    np.testing.assert_allclose(belief.mean[0], [0.5, -0.8], atol=0.02)


def test_candidates_with_nan_rank_last():
    gain = lambda before, action, after: jnp.where(action[0] > 0.2, jnp.nan, after)
    plan = planning.cem_mpc(move, gain, 3, 60, 6, 6)
    action, belief = jax.jit(plan)(jnp.float32(0.0), KEY)
    assert 0.1 < action[0] <= 0.2 and np.isfinite(belief.value)
    nowhere = planning.cem_mpc(move, lambda *_: jnp.float32(jnp.nan), 3, 8, 2, 2)
    action, belief = nowhere(jnp.float32(0.0), KEY)
    assert action[0] == 0 and np.isnan(belief.value), "all candidates fail: the belief stays"


def test_random_shooting_takes_the_best_of_some():
    plan = planning.random_shooting(move, near(2.5), horizon=4, candidates=40)
    _, belief = plan(jnp.float32(0.3), KEY)
    actions = np.clip(noise_of(KEY, 1, 40, 4)[0], -1, 1)
    gains = -((0.3 + np.cumsum(actions, axis=1) - 2.5) ** 2).sum(axis=1)
    np.testing.assert_allclose(belief.mean[:, 0], actions[np.argmax(gains)], rtol=1e-5)
    np.testing.assert_allclose(belief.value, gains.max(), rtol=1e-5)


# --- options --------------------------------------------------------------------------------------------------------


def small(**options):
    return planning.cem_mpc(move, near(2.5), 4, 40, 8, 3, **options)


def test_a_warm_start_is_the_last_plan_shifted():
    plan = small(warm_start=True)
    _, first = plan(jnp.float32(0.3), KEY, plan.start)
    _, cold = plan(jnp.float32(0.3), KEY)
    np.testing.assert_array_equal(first.mean, cold.mean)
    only_start = planning.cem_mpc(move, lambda *_: jnp.float32(jnp.nan), 4, 40, 8, 1, warm_start=True)
    _, later = only_start(jnp.float32(0.3), KEY, first)
    np.testing.assert_array_equal(later.mean[:3], first.mean[1:])
    assert later.mean[3] == first.mean[3] and (later.sigma == 1).all()


def test_elites_come_again():
    plan = small(kept_fraction=0.5, warm_start=True)
    _, belief = plan(jnp.float32(0.3), KEY)
    assert belief.kept.shape == (4, 4, 1)
    gains = -((0.3 + np.cumsum(np.asarray(belief.kept)[..., 0], axis=1) - 2.5) ** 2).sum(axis=1)
    assert (np.diff(gains) <= 1e-6).all() and gains[0] == pytest.approx(float(belief.value), rel=1e-5)
    _, later = plan(jnp.float32(0.3), jax.random.key(1), belief)
    assert later.value >= -100


def test_other_options_change_the_plan():
    _, plain = small()(jnp.float32(0.3), KEY)
    for options in ({"temperature": 0.5, "noise_exponent": 2.0}, {"momentum": 0.5, "minimum_std": 0.1}):
        _, belief = small(**options)(jnp.float32(0.3), KEY)
        assert not np.allclose(belief.mean, plain.mean) or not np.allclose(belief.sigma, plain.sigma), options
        assert belief.mean[0] > 0.3, "and it still is a plan"
        assert (belief.sigma >= options.get("minimum_std", 0) * 0.999).all()


# --- episodes -------------------------------------------------------------------------------------------------------


def test_an_episode_under_a_planner():
    """A point that has to reach a target and stay there."""
    env = chase()
    plan = planning.cem_mpc(*planning.simulator(env), 3, 30, 6, 3, action=env.action)
    run = jax.jit(planning.episode(env, plan, record=True))
    out = run(KEY)
    assert out.rewards.shape == (20,) and out.actions.shape == (20, 1) and out.length == 20
    assert out.score == pytest.approx(float(out.rewards.sum())) and out.score > 18.5, "1 a step at best"
    assert out.moments[0].shape == (20,), "what the environment's pictures are drawn from"
    again = run(KEY)
    np.testing.assert_array_equal(out.actions, again.actions)


def test_nothing_counts_after_the_end():
    env = clock(life=(4, 4), poison=True, max_steps=10)
    step, reward = planning.simulator(env)
    plan = planning.cem_mpc(step, reward, 6, 8, 2, 1, action=env.action, warm_start=True)
    out = jax.jit(planning.episode(env, plan))(KEY)
    assert out.length == 4 and (out.rewards[4:] == 0).all() and 0 < out.score < 10
    assert plan(env.reset(KEY), KEY)[1].value < 10, "nor in the plan"


def test_exploration():
    env = chase()
    plan = planning.cem_mpc(*planning.simulator(env), 1, 8, 2, 1, action=env.action)
    actions = jax.jit(planning.episode(env, plan, exploration=30.0))(KEY).actions
    assert (np.abs(actions) <= 1).all() and (np.abs(actions) == 1).mean() > 0.8 and len(np.unique(actions)) > 1


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        ({"horizon": 0}, "horizon must be an int of 1 or more, got 0"),
        ({"elites": 41, "candidates": 40}, "elites must be at most the 40 candidates, got 41"),
        ({"elites": 0}, "elites must be an int of 1 or more"),
        ({"iterations": 0}, "iterations must be an int of 1 or more"),
        ({"candidates": 1, "elites": 1}, "candidates must be an int of 2 or more, got 1"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"minimum_std": -0.1}, "minimum_sigma must be at least 0"),
        ({"kept_fraction": 1.5}, r"kept_fraction must be a number in \[0, 1\]"),
        ({"temperature": 0.0}, "temperature must be a number above 0"),
        ({"noise_exponent": -1.0}, "exponent must be a number of 0 or more"),
        ({"action": Box(-LIMIT, LIMIT * np.inf)}, "action must have finite bounds of one shape"),
        ({"action": Box(LIMIT, -LIMIT)}, "low below high"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        planning.cem_mpc(move, near(0.0), **options)


def test_bad_models():
    with pytest.raises(ValueError, match="model_step must return a state like the one it is given: given float32"):
        planning.cem_mpc(lambda x, a: x + a, near(0.0))(jnp.float32(0.0), KEY)
    with pytest.raises(ValueError, match=r"reward must return a scalar for one state and action, got shape \(1,\)"):
        planning.cem_mpc(move, lambda x, a, after: a)(jnp.float32(0.0), KEY)
    with pytest.raises(TypeError, match=r"action must be a jaxes.envs.Box, such as env.action, got \(-1, 1\)"):
        planning.cem_mpc(move, near(0.0), action=(-1, 1))
    plan = small()
    with pytest.raises(ValueError, match="belief is for planners with warm_start=True"):
        plan(jnp.float32(0.0), KEY, plan.start)
    with pytest.raises(ValueError, match="env must have vector actions, got jaxes/CyclicMDP"):
        planning.simulator(jaxes.envs.make("jaxes/CyclicMDP"))
