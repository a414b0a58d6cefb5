"""Numbers taken for finite: the values are those of `vmap` also where they are not, in the lanes where they are not."""

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp
from lanewise_cases import LANES

import jaxes
from jaxes import envs
from jaxes.lanewise import relaxed as module
from jaxes.lanewise.llvm import Array
from jaxes.lanewise.program import traced
from jaxes.lanewise.relaxed import relaxed
from jaxes.lanewise.schedule import scheduled

HUGE = 3e38


def times_zero(x):
    """0 * x of a sum that may overflow, and that nothing else shows."""
    return x[0] + 0 * (x[1] + x[1]), x[1]


def hidden_in_a_loop(x):
    """A number that is infinite for one turn only, and that a choice hides from the result."""

    def turn(i, carry):
        total, grown = carry
        large = grown * grown
        return total + 0 * large, jnp.where(large > 1e30, jnp.float32(1), grown * 2)

    return lax.fori_loop(0, 4, turn, (x[0], jnp.abs(x[1])))


def after_a_loop(x):
    """What only the last turn shows."""
    end = lax.fori_loop(0, 3, lambda i, c: (c[0] * x[0], c[0] - c[0] + c[1]), (x[1], x[0]))
    return end[1], 0 * jnp.sqrt(end[0])


def quotient(x):
    return 0 / x[0] + 0 * (1 / x[1]) + x[0] * 0, jnp.minimum(0 * x[1], 1)


def in_loops(x):
    """A loop in a loop."""
    inner = lambda c: lax.fori_loop(0, 2, lambda j, d: (d[0] * 3 + 0 * d[1], d[1] * x[1]), c)
    return lax.fori_loop(0, 3, lambda i, c: inner(c), (x[0], x[1]))


def unequal(x):
    return x[0] - x[0], (x[1] - x[1]) * 2 + x[0]


FUNCTIONS = [times_zero, hidden_in_a_loop, after_a_loop, quotient, in_loops, unequal]
NUMBERS = [0.0, 1.0, -2.5, 1e-30, 1e12, HUGE, -HUGE, np.inf, -np.inf, np.nan]


@pytest.fixture
def whatever_it_saves(monkeypatch):
    """These functions are too short for two programs of them to be worth it."""
    monkeypatch.setattr(module, "worth", lambda saved, more: True)


def program_of(function, *shapes):
    program = traced(jax.make_jaxpr(function)(*shapes))
    array = lambda rows: Array(tuple(rows.reshape(-1).tolist()), program.table.dtypes[int(rows.flat[0])])
    parts = ([array(v) for v in values if v.size] for values in (program.inputs, program.outputs))
    return program.table, *parts


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_what_is_not_finite_is_what_vmap_gives(function, whatever_it_saves):
    x = np.array(np.meshgrid(NUMBERS, NUMBERS), np.float32).reshape(2, -1).T
    want = jax.jit(jax.vmap(function))(x)
    got = jax.jit(jax.vmap(jaxes.lanewise(function)))(x)
    for w, g in zip(want, got, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_these_functions_are_relaxed(function, whatever_it_saves):
    assert relaxed(*program_of(function, jnp.zeros(2))) is not None


def test_a_loop_that_may_not_end_is_not_relaxed(whatever_it_saves):
    endless = lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1 + 0 * c[1], c[1] * 2), (x[0], x[1]))
    assert relaxed(*program_of(endless, jnp.zeros(2))) is None


@pytest.fixture(scope="module")
def pendulum():
    env = envs.make("brax/inverted_pendulum")
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), LANES))
    action = np.linspace(-1, 1, LANES, dtype=np.float32)[:, None]
    programs = {"vmap": jax.vmap(env.step), "lanewise": jax.vmap(jaxes.lanewise(env.step))}
    return env, state, action, {name: jax.jit(program) for name, program in programs.items()}


def test_physics_is_half_as_long(pendulum):
    env, state, action, _ = pendulum
    first = jax.tree.map(lambda x: x[0], (state, action))
    table, inputs, outputs = program_of(
        lambda *x: env.step(*jax.tree.unflatten(jax.tree.structure(first), x)), *jax.tree.leaves(first)
    )
    short = relaxed(table, inputs, outputs)
    rows = lambda table, outputs, inputs: len(
        table.needed((r for a in outputs for r in a.rows), (r for a in inputs for r in a.rows))
    )
    assert rows(short.table, short.outputs, short.inputs) < 0.6 * rows(table, outputs, inputs)
    assert scheduled(short.table, [short.failed], [r for a in short.inputs for r in a.rows])


@pytest.mark.parametrize("number", [np.nan, np.inf, HUGE])
def test_a_lane_that_is_not_finite_changes_no_bit_of_another(pendulum, number):
    _, state, action, programs = pendulum
    spoiled = [3, LANES - 1]
    broken = action.copy()
    broken[spoiled] = number
    want, clean, got = (
        programs["vmap"](state, broken),
        programs["lanewise"](state, action),
        programs["lanewise"](state, broken),
    )
    others = np.setdiff1d(np.arange(LANES), spoiled)
    for w, c, g in zip(*map(jax.tree.leaves, (want, clean, got)), strict=True):
        np.testing.assert_array_equal(g[others], c[others])
        np.testing.assert_array_equal(np.isfinite(g), np.isfinite(w))


def test_what_has_no_loop_is_compiled_once():
    assert relaxed(*program_of(times_zero, jnp.zeros(2))) is None
