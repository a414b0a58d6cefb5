"""The bipedal walker beside gymnasium's, on the same ground, with the same push and the same actions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes import rl
from jaxes.envs.own import planar
from jaxes.envs.own.bipedal_walker import env as walker
from jaxes.envs.own.bipedal_walker import grass, terrains
from jaxes.envs.own.bipedal_walker.genes import Genes

STEPS, SEEDS = 60, 12


class Chance:
    """gymnasium's random numbers, of which the push is remembered."""

    def __init__(self, seed):
        self.numbers, self.push = np.random.default_rng(seed), None

    def uniform(self, low, high, *size):
        drawn = self.numbers.uniform(low, high, *size)
        if (low, high) == (-walker.PUSH, walker.PUSH):
            self.push = drawn
        return drawn

    def __getattr__(self, name):
        return getattr(self.numbers, name)


def theirs(seed):
    """An episode in gymnasium: ground, push, and for each step action, observation, reward, end."""
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("Box2D")
    env = gymnasium.make("BipedalWalker-v3").unwrapped
    env._np_random = Chance(seed)
    first, _ = env.reset()
    rng = np.random.default_rng(seed)
    rows = []
    for action in rng.uniform(-1.2, 1.2, (STEPS // 5, 4)).astype(np.float32).repeat(5, axis=0):
        seen, reward, ended, *_ = env.step(action)
        rows.append((action, seen, reward, ended))
    return np.array(env.terrain_y, np.float32), np.float32(env._np_random.push), first, *map(np.array, zip(*rows))


@pytest.fixture(scope="module")
def episodes():
    """gymnasium's episodes, and ours of the same chances: observations, rewards and ends, [episodes, steps]."""
    y, push, first, actions, seen, rewards, ends = map(np.stack, zip(*map(theirs, range(SEEDS))))
    env, begin = walker.build("test/Walker", terrains.flat, walker.EVEN, 1600, 180, 60)
    step = jaxes.lanewise(env.step)
    ground = planar.Terrain(jnp.broadcast_to(grass.X, y.shape), jnp.asarray(y))

    @jax.jit
    def play(ground, push, actions):
        start = jax.vmap(jaxes.lanewise(begin))(ground, push)

        def on(state, action):
            state = jax.vmap(step)(state, action)
            return state, (state.observation, state.reward, state.done)

        return start.observation, *jax.lax.scan(on, start, jnp.swapaxes(actions, 0, 1))[1]

    ours = play(ground, jnp.asarray(push), jnp.asarray(actions))
    mine = [np.asarray(ours[0]), *(np.swapaxes(np.asarray(x), 0, 1) for x in ours[1:])]
    return (first, seen, rewards, ends), mine


def test_the_first_observation_is_gymnasiums(episodes):
    (first, *_), (mine, *_) = episodes
    np.testing.assert_allclose(mine, first, atol=3e-3)
    knees = [7, 12]  # whose speeds are those of shins that the ground has just stopped
    np.testing.assert_allclose(np.delete(mine, knees, 1), np.delete(first, knees, 1), atol=3e-4)


def test_bodies_move_as_gymnasiums_do(episodes):
    """Legs that are pulled straight fall to one side or to the other, so not every episode stays the same."""
    (_, seen, rewards, _), (_, mine, gains, _) = episodes
    apart = np.abs(seen - mine)[..., [0, 1, 2, 3, 4, 6, 9, 11]].max(2)
    assert np.median(apart[:, 0]) < 0.01
    assert np.median(apart[:, 9]) < 0.05
    assert np.median(apart[:, 19]) < 0.2
    assert np.median(np.abs(rewards - gains)[:, :20]) < 0.02


def test_feet_are_told_as_gymnasium_does(episodes):
    (_, seen, *_), (_, mine, *_) = episodes
    assert np.mean(seen[:, :10, [8, 13]] == mine[:, :10, [8, 13]]) > 0.85


@pytest.fixture(scope="module")
def played():
    """The environment with few iterations, and its compiled functions."""
    env = jaxes.envs.make("jaxes/BipedalWalker", velocity_iterations=20, position_iterations=10)
    reset, step = jax.jit(jax.vmap(jaxes.lanewise(env.reset))), jax.jit(jax.vmap(jaxes.lanewise(env.step)))
    return env, lambda seed: reset(jax.random.split(jax.random.key(seed), 8)), step


def test_all_of_a_step_is_one_program(played):
    env, *_ = played
    state = jax.eval_shape(env.reset, jax.random.key(0))
    explained = str(jaxes.lanewise.explain(env.step, state, jax.ShapeDtypeStruct((4,), jnp.float32)))
    assert "by vmap" not in explained


def test_actions_out_of_bounds_are_clipped(played):
    _, reset, step = played
    state = reset(0)
    far, near = step(state, jnp.full((8, 4), 3.0)), step(state, jnp.full((8, 4), 1.0))
    jax.tree.map(np.testing.assert_array_equal, far, near)


def test_a_hull_on_the_ground_ends_the_episode(played):
    _, reset, step = played
    state = reset(1)
    for _ in range(200):
        state = step(state, jnp.full((8, 4), -1.0))
        if np.asarray(state.done).any():
            break
    fallen = np.asarray(state.done)
    assert fallen.any()
    np.testing.assert_array_equal(np.asarray(state.reward)[fallen], -100)


def moved(state, x):
    """All bodies so much farther to the right."""
    bodies = state.physics.state.bodies
    bodies = bodies._replace(position=bodies.position + jnp.array([x, 0.0])[None, None])
    return state._replace(physics=state.physics._replace(state=state.physics.state._replace(bodies=bodies)))


def test_the_end_of_the_ground_ends_the_episode_well(played):
    _, reset, step = played
    state = step(moved(reset(2), float(walker.GOAL)), jnp.zeros((8, 4)))
    assert np.asarray(state.done).all()
    assert (np.asarray(state.reward) > 100).all()  # for the way there
    back = step(moved(reset(2), -10.0), jnp.zeros((8, 4)))
    assert np.asarray(back.done).all()
    np.testing.assert_array_equal(np.asarray(back.reward), -100)


def test_numbers_that_are_none_end_the_episode(played):
    _, reset, step = played
    state = step(moved(reset(3), np.nan), jnp.zeros((8, 4)))
    assert np.asarray(state.done).all()
    assert np.isnan(np.asarray(state.reward)).all()
    np.testing.assert_array_equal(np.asarray(state.observation), 0)


def test_members_whose_physics_break_rank_last_and_are_counted(played):
    env, *_ = played
    broken = env._replace(
        step=lambda state, action: env.step(moved_one(state, jnp.where(action[0] > 0, jnp.nan, 0.0)), action)
    )
    policy = rl.mlp(broken, hidden=())
    strategy = jaxes.open_es(8, 1.0)
    problem = rl.rollout(broken, policy, max_steps=2, normalize=False)
    carry = strategy.init(jax.random.key(0), policy.init(jax.random.key(1))), problem.init(jax.random.key(2))
    _, info = jax.jit(jaxes.generation(strategy, problem))(carry)
    assert 0 < int(info.invalid) < 8
    assert np.isfinite(float(info.mean))


def moved_one(state, x):
    bodies = state.physics.state.bodies
    bodies = bodies._replace(position=bodies.position + jnp.stack([x, jnp.zeros_like(x)])[None])
    return state._replace(physics=state.physics._replace(state=state.physics.state._replace(bodies=bodies)))


def test_a_hull_that_gets_into_the_ground_has_fallen():
    """Deep inside, too, where no edge of the ground is near it."""
    env, begin = walker.build("test/Buried", terrains.flat, walker.STEEP, 2000, 5, 5)
    heights = jnp.array([5.5, 20.0])
    ground = planar.Terrain(jnp.broadcast_to(jnp.array([-10.0, 100.0]), (2, 2)), heights.repeat(2).reshape(2, 2))
    first = jax.jit(jax.vmap(jaxes.lanewise(begin)))(ground, jnp.zeros(2))
    state = jax.jit(jax.vmap(jaxes.lanewise(env.step)))(first, jnp.zeros((2, 4)))
    assert np.asarray(state.done).all()
    np.testing.assert_array_equal(np.asarray(state.reward), -100)


def test_no_body_reaches_more_edges_than_are_looked_at():
    """Beside counting, for places all over a ground, the edges that a span overlaps; and for the grounds by chance."""
    rng = np.random.default_rng(0)
    x = np.sort(np.round(rng.uniform(-5, 60, 150), 1))  # many are walls
    reach = walker.Reach.of(x)
    for most, span in zip(reach, (walker.LEG_SPAN, walker.HULL_SPAN, walker.SIGHT)):
        left = rng.uniform(-6, 60, 20_000)
        overlapped = (x[None, 1:] >= left[:, None]) & (x[None, :-1] <= left[:, None] + span)
        assert overlapped.sum(1).max() <= most
    assert all(np.greater_equal(walker.EVEN, walker.Reach.of(grass.X)))
    assert all(np.greater_equal(walker.STEEP, walker.Reach.of(np.asarray(terrains.hardcore(jax.random.key(0)).x))))


def test_what_is_no_ground_is_refused():
    make = lambda **options: jaxes.envs.make("jaxes/BipedalWalker", **options)
    even = ([-10.0, 100.0], [3.0, 3.0])
    assert make(terrain=even).max_steps == 2000
    with pytest.raises(ValueError, match=r"only one of hardcore, genes and terrain .* got hardcore and terrain"):
        make(hardcore=True, terrain=even)
    with pytest.raises(ValueError, match="terrain must be below the hull at the start"):
        make(terrain=([-10.0, 100.0], [6.0, 6.0]))
    with pytest.raises(ValueError, match=r"terrain\.x must never fall, or the ground overlaps itself"):
        make(terrain=([0.0, 5.0, 4.0], [0.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="roughness"):
        make(genes={"roughness": 11})
    with pytest.raises(TypeError, match="hardcore must be True or False, got 1"):
        make(hardcore=1)
    with pytest.raises(ValueError, match="velocity_iterations must be an int of 1 or more, got 0"):
        make(velocity_iterations=0)


def test_niches_can_be_mapped_over_their_genes():
    def played(roughness, key):
        given = Genes(roughness=roughness)
        env = jaxes.envs.make("jaxes/BipedalWalker", genes=given, velocity_iterations=2, position_iterations=2)
        state = env.step(env.reset(key), jnp.ones(4))
        return state.physics.terrain.y.std(), state.observation

    rough, seen = jax.jit(jax.vmap(played))(jnp.array([0.0, 2.0, 6.0]), jax.random.split(jax.random.key(0), 3))
    assert rough[0] < 1e-5
    assert (np.diff(rough) > 0.1).all()
    assert np.isfinite(seen).all()


def test_it_is_an_environment_of_gymnasium_and_can_be_drawn():
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make(
        "jaxes.envs.as_gymnasium:jaxes/BipedalWalkerHardcore-v0",
        render_mode="rgb_array",
        velocity_iterations=5,
        position_iterations=5,
    )
    seen, _ = env.reset(seed=0)
    seen, reward, *_ = env.step(env.action_space.sample())
    assert seen.shape == (24,)
    assert np.isfinite(reward)
    assert env.render().shape == (320, 480, 3)
