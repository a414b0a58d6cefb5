"""The lunar lander beside gymnasium's own, which gets the moon, the push, the wind and the scatter that ours drew."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes.envs.own.lunar_lander import moon
from jaxes.envs.own.lunar_lander.body import GROUNDED, LEGS
from jaxes.envs.own.planar import Met, Plan, feet

gymnasium = pytest.importorskip("gymnasium.envs.box2d.lunar_lander", exc_type=ImportError)

WAYS = {"discrete": {}, "continuous": {"continuous": True}, "wind": {"enable_wind": True}}
LANDINGS = {"discrete": (0, 2, 3, 5), "continuous": (0, 1, 2, 4), "wind": (2,)}  # seeds
STEPS, LANES = 350, 8


class Drawn:
    """In place of gymnasium's random numbers, those of an episode of ours."""

    def __init__(self, key):
        self.key, *keys = jax.random.split(key, 4)
        self.heights = np.asarray(jax.random.uniform(keys[0], (moon.CORNERS + 1,), maxval=moon.HEIGHT / 2), float)
        self.queue = jax.random.uniform(keys[1], (2,), minval=-1000.0, maxval=1000.0).tolist()
        self.wind = jax.random.randint(keys[2], (2,), -9999, 9999).tolist()

    def uniform(self, low, high, size=None):
        if size is not None:
            return self.heights.copy()
        if not self.queue:
            self.key, now = jax.random.split(self.key)
            self.queue = jax.random.uniform(now, (2,), minval=-1.0, maxval=1.0).tolist()
        return self.queue.pop(0)

    def integers(self, low, high):
        return self.wind.pop(0)


@functools.cache
def theirs(way, seed, policy=None):
    """An episode of gymnasium's, played by its heuristic or by an action for all steps; and the actions."""
    env = gymnasium.LunarLander(**WAYS[way])
    env._np_random = Drawn(jax.random.key(seed))
    seen, ended, moments, actions = env.reset()[0], False, [], []
    while not ended and len(actions) < STEPS:
        actions.append(np.asarray(gymnasium.heuristic(env, seen) if policy is None else policy))
        seen, reward, ended, *_ = env.step(actions[-1].astype(np.float32) if way == "continuous" else int(actions[-1]))
        bodies = [env.lander, *env.legs]
        where = [(*b.worldCenter, b.angle, *b.linearVelocity, b.angularVelocity) for b in bodies]
        moments.append((where, seen, reward))
    return [np.array(x) for x in zip(*moments)], np.array(actions)


@functools.cache
def program(way):
    """Reset and step of `LANES` lanes."""
    env = jaxes.envs.make("jaxes/LunarLander", **WAYS[way])
    reset = program("discrete")[0] if way == "continuous" else jax.jit(jax.vmap(jaxes.lanewise(env.reset)))
    return reset, jax.jit(jax.vmap(jaxes.lanewise(env.step)))


def play(way, seeds, act):
    """Episodes of ours from some seeds: of each step bodies, observation, reward and whether it ends, [T, seeds, ...].

    Args:
        way: of `WAYS`.
        seeds: `LANES` of them at most.
        act: from the number of a step and observations, [LANES, 8], to actions, [LANES, ...].
    """
    reset, step = program(way)
    state = reset(jax.vmap(jax.random.key)(jnp.resize(jnp.array(seeds), LANES)))
    moments, ended = [], np.zeros(LANES, bool)
    while not ended.all() and len(moments) < STEPS:
        action = np.asarray(act(len(moments), np.asarray(state.observation)))
        state = step(state, action.astype(np.float32 if way == "continuous" else np.int32))
        b = state.physics.bodies
        bodies = np.concatenate([b.position, b.angle[..., None], b.velocity, b.spin[..., None]], -1)
        moments.append((bodies, *(np.asarray(x) for x in (state.observation, state.reward, state.done))))
        ended |= moments[-1][-1]
    return [np.array(x)[:, : len(seeds)] for x in zip(*moments)]


def ours(way, seeds, every):
    """What actions, [T, ...] for each seed, do in ours: bodies, observations, rewards, and in which step it ended."""
    lanes = [every[i % len(seeds)] for i in range(LANES)]
    bodies, seen, rewards, done = play(way, seeds, lambda t, _: [a[t] if t < len(a) else 0 * a[0] for a in lanes])
    for i in range(len(seeds)):
        yield bodies[:, i], seen[:, i], rewards[:, i], int(np.argmax(done[:, i])) + 1


@pytest.mark.parametrize("way", WAYS)
def test_it_lands_as_gymnasiums(way):
    """Their heuristic's actions: the same flight, touch-down and rest, to the sum of rewards."""
    seeds = LANDINGS[way]
    played = [theirs(way, seed) for seed in seeds]
    for mine, (game, actions) in zip(ours(way, seeds, [actions for _, actions in played]), played):
        bodies, seen, rewards, ended = mine
        steps = len(actions)
        assert game[2][-1] == 100 and rewards[ended - 1] == 100
        assert ended == steps
        landed = int(np.argmax(game[1][:, 6:].any(1)))
        assert landed > 50
        for a, b, tolerance in zip((bodies, seen, rewards), game, (1e-4, 1e-4, 2e-3)):
            np.testing.assert_allclose(a[:50], b[:50], atol=tolerance)
        for a, b, tolerance in zip((bodies, seen, rewards), game, (2e-3, 2e-3, 0.02)):
            np.testing.assert_allclose(a[:landed], b[:landed], atol=tolerance)
        np.testing.assert_array_equal(seen[:steps, 6:], game[1][:, 6:])
        np.testing.assert_allclose(seen[:steps], game[1], atol=0.02)
        np.testing.assert_allclose(rewards[:steps].sum(), game[2].sum(), atol=0.1)
        np.testing.assert_array_equal(seen[steps - 1, 2:4], 0)  # what sleeps does not move


@pytest.mark.parametrize(("way", "policy"), [("discrete", 0), ("discrete", 1), ("continuous", (1.0, 0.7))])
def test_it_crashes_or_leaves_as_gymnasiums(way, policy):
    seeds = (0, 1, 2, 3) if way == "discrete" else (0, 1, 2, 4)
    played = [theirs(way, seed, policy) for seed in seeds]
    for mine, (game, actions) in zip(ours(way, seeds, [actions for _, actions in played]), played):
        _, seen, rewards, ended = mine
        assert game[2][-1] == rewards[ended - 1] == -100
        assert abs(ended - len(actions)) <= 2
        before = min(len(actions), int(np.argmax(np.append(game[1][:, 6:].any(1), True))), ended) - 1
        np.testing.assert_allclose(seen[:before], game[1][:before], atol=1e-4)
        np.testing.assert_allclose(rewards[:before], game[2][:before], atol=2e-3)


def test_their_heuristic_lands_it():
    """Closed loop, in ours; benchmarks/lunar_lander.py has a hundred seeds and all ways."""
    stand_in = types.SimpleNamespace(unwrapped=types.SimpleNamespace(continuous=False))
    act = lambda _, seen: [gymnasium.heuristic(stand_in, of_lane) for of_lane in seen]
    _, _, rewards, done = play("discrete", range(10, 18), act)
    before = np.cumsum(done, 0) - done == 0
    returns = (rewards * before).sum(0)
    assert done.any(0).all()
    assert (returns > 200).sum() >= 7 and returns.mean() > 240


def stepped(change, actions):
    """What lanes at the same moment come to by `actions`, float[n, 2], after a change of their physics."""
    reset, step = program("continuous")
    state = reset(jnp.broadcast_to(jax.random.key(0), LANES))
    state = state._replace(physics=change(state.physics))
    return step(state, jnp.resize(jnp.array(actions, jnp.float32), (LANES, 2)))


def test_actions_out_of_bounds_are_clipped():
    then = stepped(lambda physics: physics, [(7, -3), (1, -1), (-7, 3), (-1, 1), (0, 0.5), (jnp.nan, jnp.nan)])
    seen = np.asarray(then.observation)
    for wild, clipped in ((0, 1), (2, 3), (4, 5)):  # NaN fires no engine, as in gymnasium
        np.testing.assert_array_equal(seen[wild], seen[clipped])
        assert then.reward[wild] == then.reward[clipped]
    assert len(np.unique(seen[:6], axis=0)) == 3


def test_broken_physics_ends_the_episode_and_ranks_last():
    def broken(physics):
        bodies = physics.bodies
        bodies = bodies._replace(
            spin=bodies.spin.at[0, 1].set(jnp.nan), velocity=bodies.velocity.at[1, 2, 0].set(jnp.inf)
        )
        return physics._replace(state=physics.state._replace(bodies=bodies))

    then = stepped(broken, [(0, 0)])
    assert then.done.tolist() == [True, True] + 6 * [False]
    assert np.isnan(then.reward).tolist() == then.done.tolist()
    assert then.observation[:2].tolist() == [[0.0] * 8] * 2


def test_a_step_is_one_program():
    env = jaxes.envs.make("jaxes/LunarLanderContinuous", enable_wind=True)
    said = jaxes.lanewise.explain(env.step, jax.eval_shape(env.reset, jax.random.key(0)), jnp.zeros(2))
    assert said.whole is None and said.fallbacks == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gravity": 0.0}, "gravity must be a number between -12 and 0, got 0.0"),
        ({"gravity": -12}, "gravity must be"),
        ({"gravity": "down"}, "gravity must be"),
        ({"wind_power": 20.5}, "wind_power must be a number from 0 to 20, got 20.5"),
        ({"wind_power": float("nan")}, "wind_power must be"),
        ({"turbulence_power": -0.1}, "turbulence_power must be a number from 0 to 2, got -0.1"),
        ({"enable_wind": 1}, "enable_wind must be True or False, got 1"),
        ({"continuous": "no"}, "continuous must be True or False, got 'no'"),
        ({"velocity_iterations": 0}, "velocity_iterations must be an int of 1 or more, got 0"),
        ({"wind": True}, "wind"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        jaxes.envs.make("jaxes/LunarLander", **options)


def test_a_foot_that_leaves_an_edge_for_the_next_counts_as_lifted():
    """As gymnasium's listener hears of it; and a foot that is stopped on its way stands at once."""
    plan = Plan(grounded=GROUNDED, edges=2)
    nothing, flag = jnp.full((2, 2), -1), jnp.bool_(False)
    met = lambda edges, struck=nothing: Met(edges, struck, jnp.zeros(0, bool), flag, flag)
    rows = lambda leg, other: jnp.array([other, leg])  # in the order of GROUNDED
    told, edges = feet.told(plan, LEGS, jnp.zeros(2, bool), feet.none(plan, LEGS), met(rows([4, -1], [-1, -1])))
    assert told.tolist() == [True, False]
    told, edges = feet.told(plan, LEGS, told, edges, met(rows([4, 5], [-1, -1])))
    assert told.tolist() == [True, False]
    told, edges = feet.told(plan, LEGS, told, edges, met(rows([-1, 5], [-1, -1]), rows([-1, -1], [7, -1])))
    assert told.tolist() == [False, True]
    told, edges = feet.told(plan, LEGS, told, edges, met(rows([-1, 5], [-1, -1])))
    assert told.tolist() == [False, False]
