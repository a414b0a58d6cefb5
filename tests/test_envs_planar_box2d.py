"""Planar physics beside Box2D itself, in the scenes of `references/box2d_worlds.py`.

What is free or jointed agrees to rounding, and contacts to millimeters, until something stands on a corner or falls in
two ways; both solve by as many iterations as gymnasium's environments do.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxes.envs.own import planar

box2d = pytest.importorskip("references.box2d_worlds", reason="needs Box2D", exc_type=ImportError)
ours = pytest.importorskip("planar_scenes", exc_type=ImportError)

POLYGONS = {
    "hull": box2d.HULL,
    "leg": box2d.LEG,
    "lander": box2d.LANDER,
    "lander's leg": box2d.LANDER_LEG,
    **{f"{corners} corners": box2d.convex(corners, corners) for corners in range(3, 9)},
}
FREE = {
    "free fall": box2d.free_fall(),
    "an impulse on a jointed pair": box2d.impulse_on_a_pair(),
    "pendulum": box2d.pendulum(),
    "pendulum, far": box2d.pendulum(1.5),
    "motor": box2d.motor(),
    "motor, backwards": box2d.motor(-3.0, 0.02),
    "motor that lifts a rod": box2d.lifting(0.6),
    "motor that lets it fall": box2d.lifting(0.4),
    "upper limit": box2d.limits(4.0),
    "lower limit": box2d.limits(-4.0),
}
CONE = float(np.arctan(0.5))
HELD = {
    "slope within the cone": box2d.slope(CONE - 0.02),
    "slope beyond the cone": box2d.slope(CONE + 0.02),
    "downhill to the right": box2d.slope(-CONE - 0.02),
    "dropped flat": box2d.dropped(),
    "dropped on a corner": box2d.dropped(0.5),
    "dropped on the other corner": box2d.dropped(-0.3),
    "sliding": box2d.dropped(height=0.26, velocity=3.0),
    "against a wall": box2d.wall(),
    "fast against a wall": box2d.wall(velocity=8.0, push=0.0),
    "on the corner of a step": box2d.corner(),
    "flat on a step": box2d.corner(0.3, 0.0),
    "past a step": box2d.corner(-0.6, 0.2),
}


def apart(mine, theirs, steps=None):
    """The largest differences of positions, m, angles, rad, velocities, m/s, and spins, rad/s, in the first `steps`."""
    return [float(np.abs(a[:steps] - b[:steps]).max()) for a, b in zip(mine[:4], theirs[:4])]


@pytest.mark.parametrize("name", POLYGONS)
def test_mass_center_and_inertia(name):
    mine = planar.mass(jnp.asarray(POLYGONS[name], jnp.float32), 5.0)
    mass, center, inertia = box2d.mass(POLYGONS[name], 5.0)
    np.testing.assert_allclose(mine.mass, mass, rtol=1e-6)
    np.testing.assert_allclose(mine.center, center, atol=2e-6)
    np.testing.assert_allclose(mine.inertia, inertia, rtol=1e-4)


@pytest.mark.parametrize("name", FREE)
def test_what_nothing_touches_moves_as_in_box2d(name):
    scene = FREE[name]
    position, angle, velocity, spin = apart(ours.simulate(scene), box2d.simulate(scene))
    assert position < 2e-5
    assert angle < 5e-5
    assert velocity < 1e-4
    assert spin < 1e-4


def test_the_period_of_a_pendulum():
    mine = box2d.period(ours.simulate(box2d.pendulum()))
    assert mine == pytest.approx(box2d.period(box2d.simulate(box2d.pendulum())), rel=1e-4)
    assert mine == pytest.approx(box2d.period_of_theory(), rel=1e-3)


def test_a_motor_has_its_torque_until_it_has_its_speed():
    speed, torque = 4.0, 0.05
    scene = box2d.motor(speed, torque)
    spin = ours.simulate(scene).spin
    relative = spin[:, 1] - spin[:, 0]
    gain = sum(torque / box2d.mass(polygon, 1.0)[2] for polygon in scene.polygons) * box2d.STEP
    np.testing.assert_allclose(relative, np.minimum(gain * np.arange(len(relative)), speed), atol=1e-4)


@pytest.mark.parametrize("name", HELD)
def test_what_touches_the_ground_moves_as_in_box2d(name):
    scene = HELD[name]
    mine, theirs = ours.simulate(scene), box2d.simulate(scene)
    position, angle, *_ = apart(mine, theirs)
    assert position < 0.01
    assert angle < 0.02
    if np.abs(theirs.velocity[-1]).max() < 1e-3:  # it has come to rest
        assert apart(mine, theirs, None)[0] < 0.01
        np.testing.assert_allclose(mine.velocity[-1], 0, atol=1e-3)
    np.testing.assert_array_equal(mine.touching[1:], theirs.touching[1:])


def test_the_cone_of_friction():
    """The tangent of the steepest slope on which a box stays is the coefficient; beyond it, the rest pulls."""
    steps = box2d.STEPS
    for angle in (CONE - 0.02, CONE + 0.02, CONE + 0.2):
        end = ours.simulate(box2d.slope(angle)).velocity[-1, 0]
        pull = max(0.0, 10 * (np.sin(angle) - 0.5 * np.cos(angle)))
        assert np.linalg.norm(end) == pytest.approx(pull * steps * box2d.STEP, abs=0.02)


def test_a_stack_rests():
    scene = box2d.stack()
    mine, theirs = ours.simulate(scene), box2d.simulate(scene)
    assert apart(mine, theirs)[0] < 0.005
    assert np.abs(mine.position[-1] - theirs.position[-1]).max() < 0.002
    np.testing.assert_allclose(mine.velocity[-30:], 0, atol=1e-3)
    np.testing.assert_allclose(mine.spin[-30:], 0, atol=1e-3)


def test_a_jointed_pair_on_the_edge_of_a_pit():
    scene = box2d.mixed()
    position, angle, *_ = apart(ours.simulate(scene), box2d.simulate(scene), 40)
    assert position < 0.01
    assert angle < 0.02


@pytest.mark.parametrize("name", ["pendulum, far", "an impulse on a jointed pair", *HELD])
def test_energy_does_not_grow(name):
    """But for what lifts a body out of an overlap of its skin, a centimeter at most."""
    scene = {**FREE, **HELD}[name]
    energy = box2d.energy(scene, ours.simulate(scene))
    lifts = 0.0
    if name in HELD:
        lifts = box2d.mass(scene.polygons[0], 1.0)[0] * np.linalg.norm(scene.gravity) * 0.01
    assert np.diff(energy).max() < max(1e-4, lifts)
    assert energy.max() < energy[0] + max(1e-4, 2 * lifts)


def test_the_walker_of_the_scenes_is_gymnasiums():
    played = box2d.walker(30)
    for name in ("position", "angle"):
        a, b = getattr(box2d.simulate(played.scene), name), getattr(played.trace, name)
        np.testing.assert_allclose(a, b, atol=2e-4)


def test_a_walker_moves_as_gymnasiums():
    """Under random actions, until a foot meets the ground or just does not."""
    played = box2d.walker(30, seed=1)
    mine = ours.simulate(ours.walker_in_order(played.scene))
    after_reset = apart(mine, played.trace, 2)
    assert max(after_reset[:2]) < 0.002
    position, angle, *_ = apart(mine, played.trace)
    assert position < 0.02
    assert angle < 0.03
    assert (mine.touching[1:] != played.trace.touching[1:]).sum() <= 3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_lander_flies_and_crashes_as_gymnasiums(seed):
    """Under random actions, with engines that scatter; and in the first steps after it has met the moon."""
    actions = np.random.default_rng(seed).integers(0, 4, 120)
    actions[0] = 0
    played = box2d.lander(actions, seed)
    mine = ours.simulate(ours.lander_in_order(played.scene))
    landed = int(np.argmax(played.trace.touching.any(1)))
    assert landed > 60
    assert max(apart(mine, played.trace, landed)) < 1e-3
    position, angle, *_ = apart(mine, played.trace, landed + 3)
    assert position < 0.01
    assert angle < 0.02
    np.testing.assert_array_equal(mine.touching[: landed + 1], played.trace.touching[: landed + 1])


def test_the_lander_of_the_scenes_is_gymnasiums():
    played = box2d.lander(np.array([0, *[1, 2, 3, 2] * 10]), seed=3)
    theirs = box2d.simulate(played.scene)
    assert max(apart(theirs, played.trace)) < 1e-3
