"""Planar physics by itself; test_envs_planar_box2d.py has it beside Box2D."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxes.envs.own import planar

NONE = planar.Motors(jnp.zeros(0), jnp.zeros(0))


@pytest.mark.parametrize(("vertices", "edges"), [(200, 19), (21, 5), (8, 3), (6, 5), (5, 4), (2, 5)])
def test_every_part_of_the_ground_is_found(vertices, edges):
    x = np.arange(vertices, dtype=np.float32)
    whole = planar.Ground(jnp.asarray(x), jnp.asarray(x**2), jnp.int32(3))
    part = jax.jit(lambda at: planar.near(whole, at, edges))
    last = max(0, vertices - 1 - edges)
    for at in range(-1, vertices + 1):
        start = min(max(at, 0), last)
        found = part(jnp.float32(at + 0.5))
        np.testing.assert_array_equal(found.x, x[start : start + edges + 1])
        np.testing.assert_array_equal(found.y, x[start : start + edges + 1] ** 2)
        assert int(found.first) == 3 + start


def test_of_a_wall_the_right_side_is_found():
    ground = planar.whole(planar.Terrain(jnp.array([0.0, 1.0, 1.0, 2.0]), jnp.array([0.0, 0.0, 5.0, 5.0])))
    found = planar.near(ground, jnp.float32(1.0), 1)
    assert found.y.tolist() == [5, 5]
    assert float(planar.height(planar.Terrain(ground.x, ground.y), 1.0)) == 5
    assert float(planar.height(planar.Terrain(ground.x, ground.y), 0.5)) == 0


def test_rays_end_where_they_meet_the_ground_first():
    """Beside points along each ray, of which the first one below the ground is looked for."""
    rng = np.random.default_rng(0)
    x = np.repeat(np.sort(rng.uniform(-6, 6, 12)), 2)[1:-1].astype(np.float32)
    y = rng.uniform(-3, 0, len(x)).astype(np.float32)
    angles = rng.uniform(-1.3, 1.3, 40)
    rays = (5 * np.stack([np.sin(angles), -np.cos(angles)], -1)).astype(np.float32)
    found = planar.fractions(planar.whole(planar.Terrain(x, y)), jnp.array([0.1, 0.5]), jnp.asarray(rays))
    t = np.linspace(0, 1, 20_001)
    for ray, fraction in zip(rays, np.asarray(found)):
        at = np.array([0.1, 0.5]) + t[:, None] * ray
        below = (at[:, 1] < np.interp(at[:, 0], x, y)) & (at[:, 0] > x[0]) & (at[:, 0] < x[-1])
        wanted = t[np.argmax(below)] if below.any() else 1.0
        assert fraction == pytest.approx(wanted, abs=2e-4)


@pytest.fixture(scope="module")
def stacked():
    """Two boxes that fall, one on the ground and one on the other; the ground is one edge."""
    plan = planar.Plan(grounded=(0,), pairs=((1, 0),), velocity_iterations=20)
    world, _ = planar.world(plan, [planar.box(0.5, 0.5)] * 2, [1.0, 1.0], [0.5, 0.5])
    ground = planar.whole(planar.Terrain(jnp.array([-9.0, 9.0]), jnp.zeros(2)))

    def step(state, _):
        state, _ = planar.step(plan, world, state, ground, NONE)
        bodies = state.bodies
        height = 10 * bodies.position[:, 1].sum()
        moving = ((bodies.velocity**2).sum() + (bodies.spin**2 / world.inverse_inertia).sum()) / 2
        return state, height + moving

    start = planar.at_rest(plan, jnp.array([[0.0, 1.0], [0.1, 2.5]]), jnp.zeros(2))
    state, energy = jax.jit(lambda state: jax.lax.scan(step, state, length=150))(start)
    return state, np.asarray(energy)


def test_boxes_come_to_rest_on_each_other(stacked):
    state, _ = stacked
    np.testing.assert_allclose(
        state.bodies.position[:, 1], [0.515, 1.53], atol=0.01
    )  # skins of 2 cm, half a cm of slop
    np.testing.assert_allclose(state.bodies.velocity, 0, atol=1e-3)
    np.testing.assert_allclose(state.bodies.spin, 0, atol=1e-3)
    np.testing.assert_allclose(state.impulses.normal[:2].sum(), 2 * 10 * 0.02, rtol=1e-3)  # holds both, a step long
    np.testing.assert_array_equal(state.impulses.normal[2:4], 0)  # the ground has no more points


def test_energy_does_not_grow(stacked):
    _, energy = stacked
    assert energy.max() <= 35 + 1e-3  # that of the start
    assert np.diff(energy[20:]).max() < 0.02  # what positions take when they are put right


def test_worlds_can_be_mapped():
    """Over sizes, masses, friction and ground: boxes on slopes slide where friction is too small."""
    plan = planar.Plan(grounded=(0,), velocity_iterations=10, position_iterations=10)

    def slid(size, density, friction, slope):
        world, _ = planar.world(plan, [planar.box(size, size)], [density], [friction], 1.0)
        ground = planar.whole(planar.Terrain(jnp.array([-50.0, 50.0]), jnp.stack([-50 * slope, 50 * slope])))
        angle = jnp.arctan(slope)
        start = planar.at_rest(plan, (size + 0.015) * jnp.stack([-jnp.sin(angle), jnp.cos(angle)])[None], angle[None])
        run = lambda _, state: planar.step(plan, world, state, ground, NONE)[0]
        return jnp.linalg.norm(jax.lax.fori_loop(0, 50, run, start).bodies.velocity[0])

    friction = jnp.array([0.04, 0.25, 0.25, 0.81])  # of two, the root of the product counts
    slope = jnp.array([0.1, 0.4, 0.6, 0.8])
    speeds = jax.jit(jax.vmap(slid))(jnp.array([0.1, 0.2, 0.4, 0.3]), jnp.array([1.0, 5.0, 2.0, 1.0]), friction, slope)
    cos = 1 / np.sqrt(1 + np.asarray(slope) ** 2)
    wanted = 10 * 50 * 0.02 * cos * np.maximum(np.asarray(slope) - np.sqrt(np.asarray(friction)), 0)
    np.testing.assert_allclose(speeds, wanted, atol=0.02)


@pytest.mark.parametrize(
    ("polygon", "message"),
    [
        (
            [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
            "must be convex and counterclockwise, got a turn to the right at corner",
        ),
        ([[0.0, 0.0], [2.0, 0.0], [1.0, 0.5], [1.0, 2.0]], "got a turn to the right at corner 2"),
        ([[0.0, 0.0], [1.0, 0.0]], r"must have a shape \(k, 2\) with k from 3 to 8, got \(2, 2\)"),
        (np.stack([np.cos(np.arange(9) * 0.7), np.sin(np.arange(9) * 0.7)], 1), r"got \(9, 2\)"),
        ([[0.0, 0.0], [np.nan, 0.0], [1.0, 1.0]], "must be convex and counterclockwise"),
    ],
    ids=["clockwise", "a dent", "two corners", "nine corners", "not finite"],
)
def test_what_is_no_body_is_refused(polygon, message):
    with pytest.raises(ValueError, match=rf"polygons\[1\] .*{message}"):
        planar.world(planar.Plan(), [planar.box(1.0, 1.0), np.asarray(polygon, np.float32)], [1.0, 1.0], [0.0, 0.0])


def test_bodies_that_nothing_moves_stay():
    plan = planar.Plan(joints=((0, 1),), velocity_iterations=30)
    joints = planar.Joints(*(jnp.array(x) for x in ([[0.0, 0.0]], [[0.0, 1.0]], [0.0], [-9.0], [9.0])))
    world, _ = planar.world(plan, [planar.box(0.1, 0.1), planar.box(0.1, 1.0)], [0.0, 1.0], [0.0, 0.0], joints=joints)
    state = planar.at_rest(plan, jnp.array([[0.0, 0.0], [0.0, -1.0]]), jnp.zeros(2))
    motors = planar.Motors(jnp.array([1.0]), jnp.array([100.0]))
    for _ in range(3):
        state, _ = jax.jit(lambda s: planar.step(plan, world, s, None, motors))(state)
    np.testing.assert_array_equal(state.bodies.position[0], 0)
    assert float(state.bodies.spin[1]) == pytest.approx(1.0, abs=1e-4)  # the motor's
