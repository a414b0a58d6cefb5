"""What every strategy promises, for each row of the table."""

import copy
import functools
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import quick
from table import ALL, TABLE, facts, numbers_of, objective, tree

import jaxes
from jaxes import Block

N = 8
KEY = jax.random.key(7)
STRICT = "xla_cpu_max_isa=AVX" in os.environ.get("XLA_FLAGS", "").split("--")
PROBLEM = jaxes.problem(objective)
# Rows whose members are made in a way of their own; the others share theirs with one of these.
MECHANISMS = (
    "open_es",
    "open_es, one-sided, sgd",
    "open_es, orthogonal, z_score, l2",
    "snes",
    "cma_es",
    "simple_ga",
    "differential_evolution",
    "particle_swarm",
)
# Rows whose mean moves by a sum over members, each with the weight of its rank.
LINEAR = ("open_es, one-sided, sgd", "simple_es", "nes", "snes", "cem", "cma_es", "sep_cma_es", "ma_es", "xnes")
every = pytest.mark.parametrize("name", ALL)
rows = pytest.mark.parametrize("name", TABLE)


def slow_elsewhere(names):
    """For what needs programs of its own: the mechanisms always, the other rows in the slow run."""
    marked = [name if name in MECHANISMS else pytest.param(name, marks=pytest.mark.slow) for name in names]
    return pytest.mark.parametrize("name", marked)


def jit(name):
    """What compiles the shared functions of a row: as users do for each mechanism, and for all rows in the slow run."""
    return jax.jit if name in MECHANISMS or STRICT or "JAXES_OPTIMIZED_TESTS" in os.environ else quick


@functools.lru_cache
def made(name):
    """One strategy, jitted, shared by all tests: (strategy, init, ask, tell, generation, [programs of ask, tell])."""
    strategy = ALL[name].make(N)
    compiled, step = jit(name), jaxes.generation(strategy, PROBLEM)
    ask, tell, init = compiled(strategy.ask), compiled(strategy.tell), compiled(strategy.init)
    programs = ask, tell
    if name not in MECHANISMS:  # asking for all is asking for a subset, so that both are one program
        some, everyone = ask, jnp.arange(N)
        ask = lambda state, ids=everyone: some(state, ids)
    return strategy, init, ask, tell, compiled(lambda state: step((state, ()))[0][0]), programs


@functools.lru_cache
def usual(name):
    """The first state, and the jitted `init` that takes every number: one program for all of them."""
    strategy, init, *_ = made(name)
    return init(KEY, tree()), quick(lambda key, numbers: strategy.init(key, tree(), **numbers))


def usual_numbers(name):
    """Every number that `init` takes, as it is by default."""
    state = usual(name)[0]
    return {number: jnp.ravel(jax.tree.leaves(getattr(state, number))[0])[0] for number in ALL[name].numbers}


def begun(name, key=KEY, **numbers):
    """A first state with some other numbers."""
    init, default = usual(name)[1], usual_numbers(name)
    return init(key, default | {number: jnp.asarray(x, default[number].dtype) for number, x in numbers.items()})


evaluate = jax.jit(jax.vmap(objective))


def advance(name, state, generations=1):
    """A loop over the programs that a row has anyway; see test_scan_is_loop_is_chunks for those of whole runs."""
    _, _, ask, tell, *_ = made(name)
    for _ in range(generations):
        state, _ = tell(state, evaluate(ask(state)))
    return state


@functools.lru_cache
def later(name, generations=3):
    """A state that has seen some generations."""
    return advance(name, usual(name)[0], generations)


def fitness_of(name, state):
    return evaluate(made(name)[2](state))


def assert_same(a, b):
    for x, y in zip(numbers_of(a), numbers_of(b), strict=True):
        np.testing.assert_array_equal(x, y)


def assert_close(a, b, rtol=1e-5, atol=1e-6):
    for x, y in zip(numbers_of(a), numbers_of(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def distribution(state):
    """All of the state that a generation without a valid fitness must leave as it was."""
    return state._replace(step=0)


TOLD = ("fitness", "best_fitness", "current_fitness", "parents")  # fields that hold what was told, infinities included


def learned(state):
    """The state without the fitness that it remembers, which is as the problem gave it."""
    return (
        state._replace(**{name: 0 for name in set(state._fields) & set(TOLD)}) if hasattr(state, "_fields") else state
    )


def assert_finite(state):
    for x in numbers_of(learned(state)):
        assert bool(jnp.all(jnp.isfinite(x.astype(jnp.float32))))
    for name in set(getattr(state, "_fields", ())) & set(TOLD):
        assert not bool(jnp.any(jnp.isnan(getattr(state, name))))


def test_every_strategy_has_a_row():
    assert set(TABLE) == set(jaxes.STRATEGIES)


@pytest.mark.parametrize("place", ["strategies/test_{}.py", "references/{}.py"])
def test_every_strategy_has_its_tests_and_its_reference(place):
    files = {name: Path(__file__).parent / place.format(name) for name in jaxes.STRATEGIES}
    assert not [name for name, file in files.items() if not file.is_file()]


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        pytest.param(
            dtype, name, marks=pytest.mark.extended if dtype != "float32" and name not in ("open_es", "cma_es") else ()
        )
        for dtype in ("float32", "bfloat16", "float64")
        for name in ALL
    ],
)
def test_shapes_dtypes_and_finite_values(dtype, name):
    with jax.enable_x64(dtype == "float64"):
        params = tree(jnp.dtype(dtype))
        strategy = ALL[name].make(N)

        def first(key):
            state = strategy.init(key, params)
            members = strategy.ask(state)
            told, info = strategy.tell(state, jax.vmap(objective)(members))
            return state, members, told, info, strategy.recommend(told)

        if dtype == "float32":
            state, members = usual(name)[0], made(name)[2](usual(name)[0])
            told, info = made(name)[3](state, evaluate(members))
            recommended = strategy.recommend(told)
        else:
            state, members, told, info, recommended = quick(first)(KEY)
        assert state._fields[:2] == ("key", "step")
        assert state.step.dtype == jnp.int32
        want = jax.tree.map(lambda x: (N, *x.shape), params)
        assert jax.tree.map(jnp.shape, members) == want
        assert jax.tree.map(jnp.result_type, members) == jax.tree.map(jnp.result_type, params)
        assert facts(told) == facts(state)
        assert not any("weak" in fact for fact in jax.tree.leaves(facts(state)))
        assert facts(recommended) == facts(params)
        wide = jnp.float64 if dtype == "float64" else jnp.float32
        assert all(x.shape == () for x in jax.tree.leaves(info))
        assert {x.dtype for x in jax.tree.leaves(info)} == {jnp.dtype(wide), jnp.dtype(jnp.int32)}
        assert_finite(told)
        for row in range(N):
            same = all(np.array_equal(x[row], p) for x, p in zip(*map(jax.tree.leaves, (members, params)), strict=True))
            # Where there is no mean, the start itself is the first member; some evaluate the mean too.
            assert same == (row < (1 if ALL[name].remembers else ALL[name].centers))


@rows
def test_other_trees(name):
    """A bare vector, and a tuple with a Python float in it: traced, which is what they can break."""
    for params in (jnp.ones(3), (1.0, np.zeros((2, 1), np.float32))):
        strategy = ALL[name].make(N)

        def first(strategy=strategy, params=params):
            state = strategy.init(KEY, params)
            members = strategy.ask(state)
            fitness = jax.vmap(lambda member: sum(jnp.sum(y) for y in jax.tree.leaves(member)))(members)
            told, _ = strategy.tell(state, fitness)
            return state, members, told, strategy.recommend(told)

        state, members, told, recommended = jax.eval_shape(first)
        assert facts(told) == facts(state)
        assert jax.tree.structure(recommended) == jax.tree.structure(members) == jax.tree.structure(params)
        assert [x.shape for x in jax.tree.leaves(recommended)] == [jnp.shape(x) for x in jax.tree.leaves(params)]


@rows
def test_init_is_pure_and_traceable(name):
    strategy = made(name)[0]
    state = strategy.init(KEY, tree())
    abstract = jax.eval_shape(strategy.init, KEY, tree())
    assert jax.tree.map(lambda x: (x.shape, str(x.dtype)), abstract) == jax.tree.map(
        lambda x: (x.shape, str(x.dtype)), state
    )
    # Eager, each operation is rounded; compiled, LLVM may round a * b + c once.
    (assert_same if STRICT else functools.partial(assert_close, rtol=3e-7, atol=3e-7))(
        made(name)[1](KEY, tree()), state
    )
    assert_same(strategy.recommend(state), tree())


@pytest.mark.slow
def test_all_rows_as_users_compile_them():
    environment = {**os.environ, "JAXES_OPTIMIZED_TESTS": "1"}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@slow_elsewhere(ALL)
def test_scan_is_loop_is_chunks(name):
    strategy, *_, step, _ = made(name)
    body = jaxes.generation(strategy, PROBLEM)

    @functools.partial(jit(name), static_argnums=1)
    def scan(state, length):
        (state, _), infos = jax.lax.scan(body, (state, ()), length=length)
        return state, infos

    start = usual(name)[0]
    whole, infos = scan(start, 6)
    half, first = scan(start, 3)
    chunks, second = scan(half, 3)
    assert_same(whole, chunks)
    assert_same(infos, jax.tree.map(lambda *x: jnp.concatenate(x), first, second))
    loop = start
    for _ in range(6):
        loop = step(loop)
    # Two programs: without strict mode LLVM may round a * b + c once in one of them and twice in the other.
    exact = STRICT or (ALL[name].ranks and not ALL[name].carries)
    (assert_same if exact else functools.partial(assert_close, rtol=1e-4))(whole, loop)
    assert int(whole.step) == 6


@rows
def test_no_recompilation(name):
    programs = made(name)[-1]
    state = advance(name, usual(name)[0], 2)
    before = [program._cache_size() for program in programs]
    for number, value in ALL[name].numbers.items():
        advance(name, begun(name, jax.random.key(1), **{number: value}))
        leaf = getattr(state, number)
        advance(name, state._replace(**{number: jax.tree.map(lambda x, v=value: jnp.full(x.shape, v, x.dtype), leaf)}))
    assert [program._cache_size() for program in programs] == before


@rows
def test_numbers_matter(name):
    """Every number that init takes changes what happens."""

    def told(state):
        ask, tell = made(name)[2:4]
        for sign in (1, 1, -1, 1, 1):  # members also get worse
            state, _ = tell(state, sign * evaluate(ask(state)))
        return state

    a = told(begun(name))  # by the very program of the others: other roundings are no change
    for number, value in ALL[name].numbers.items():
        other = begun(name, **{number: value})
        assert jnp.allclose(jax.tree.leaves(getattr(other, number))[0], value)
        if number in ALL[name].rare:
            continue
        b = told(other)
        pairs = zip(numbers_of(a._replace(**{number: getattr(b, number)})), numbers_of(b), strict=True)
        assert any(not np.array_equal(x, y) for x, y in pairs), number


@slow_elsewhere(TABLE)
def test_vmap_over_seeds_and_sigma(name):
    strategy, *_, step, _ = made(name)
    keys, sigmas = jax.random.split(KEY, 3), jnp.array([0.05, 0.2, 0.2])
    keys = keys[jnp.array([0, 0, 1])]
    body = jaxes.generation(strategy, PROBLEM)
    # Some defaults follow from sigma: `begun` gives those of the usual one.
    others = {number: value for number, value in usual_numbers(name).items() if number != "sigma"}
    one = lambda key, sigma: body((strategy.init(key, tree(), sigma=sigma, **others), ()))[0][0]
    many = quick(jax.vmap(one))(keys, sigmas)
    for i in range(3):
        alone = step(begun(name, keys[i], sigma=sigmas[i]))
        assert_close(jax.tree.map(lambda x, i=i: x[i], many), alone)


@every
def test_any_subset_is_the_same(name):
    """`ask` changes nothing, and members do not depend on which are asked for: bit for bit in strict mode.

    Without it, LLVM may turn `mean + sigma * z` into one rounding in the program of some sizes and two in another's.
    """
    ask = made(name)[2]
    state = later(name)
    members = ask(state)
    assert_same(ask(state), members)
    wanted = [jnp.array([5, 2, 2] if name in MECHANISMS else [5, 2, 2, 7, 0, 0, 3, 1])]
    if STRICT:
        wanted += [jnp.array([3]), jnp.arange(N), Block(4, 2), Block(4, 1)]
    for ids in wanted:
        which = ids.ids if isinstance(ids, Block) else ids
        part = jax.tree.map(lambda x, which=which: x[which], members)
        if STRICT:
            assert_same(ask(state, ids), part)
        else:
            assert_close(ask(state, ids), part, rtol=3e-7, atol=3e-7)


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].antithetic or name == "sv_cma_es"])
def test_a_block_may_begin_anywhere(name):
    """In the middle of a pair or of a particle, known while tracing or not."""
    strategy, state = made(name)[0], later(name)
    members = made(name)[2](state)
    ask = quick(lambda state, start: [strategy.ask(state, Block(3, 4)), strategy.ask(state, Block(start, 4))])
    for start in (1, 2):
        for first, part in zip((3, start), ask(state, jnp.int32(start)), strict=True):
            assert_close(part, jax.tree.map(lambda x, first=first: x[first : first + 4], members), rtol=3e-7, atol=3e-7)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the flag is of the CPU backend")
@pytest.mark.parametrize(
    "names",
    [pytest.param(MECHANISMS, id="mechanisms"), pytest.param(tuple(ALL), marks=pytest.mark.slow, id="all")],
)
def test_any_subset_is_the_same_in_strict_mode(names):
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX",
        "JAX_COMPILATION_CACHE_DIR": tempfile.gettempdir() + "/jaxes-strict",
    }
    tests = [f"{__file__}::test_any_subset_is_the_same[{name}]" for name in names]
    scanned = [name for name in names if ALL[name].carries or not ALL[name].ranks]
    tests += [f"{__file__}::test_scan_is_loop_is_chunks[{name}]" for name in scanned]
    command = [sys.executable, "-m", "pytest", "-m", "", "-n", "0", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"{len(tests)} passed" in done.stdout, done.stdout[-3000:]


@rows
def test_generations_and_keys_differ(name):
    _, init, ask, *_ = made(name)
    state, other = later(name), jax.random.key(8)
    here = ask(state)["layer"]["kernel"]
    assert not np.array_equal(here, ask(state._replace(step=state.step + 1))["layer"]["kernel"])
    assert not np.array_equal(here, ask(state._replace(key=other))["layer"]["kernel"])
    first, others = (ask(init(key, tree()))["layer"]["kernel"] for key in (KEY, other))
    assert not np.array_equal(first, others)


@every
def test_some_invalid(name):
    """One NaN is counted and equals the worst, or is taken leniently; half and all but one stay finite."""
    tell = made(name)[3]
    state = later(name)
    fitness = fitness_of(name, state)
    worst = jnp.argmin(fitness)
    told, info = tell(state, fitness.at[worst].set(jnp.nan))
    assert int(info.invalid) == 1
    assert_finite(told)
    infinite, _ = tell(state, fitness.at[worst].set(-jnp.inf))
    if ALL[name].remembers:
        # Neither takes the place of anything that was valid before.
        assert_same(told, infinite)
    elif ALL[name].ranks:
        # The worst stays the worst as -inf; a NaN is below that.
        plain, _ = tell(state, fitness)
        assert_same(plain, infinite)
        # Not in cma_es, where an invalid member never has a positive weight; a partner of one is weighed leniently.
        if not name.removeprefix("sv_").startswith("cma") and not ALL[name].antithetic:
            assert_close(told, plain)
    for count in (N // 2, N - 1):
        told, info = tell(state, fitness.at[:count].set(jnp.nan))
        assert int(info.invalid) == count
        assert_finite(told)
        assert np.isfinite(info.mean)


@every
def test_all_invalid_leaves_the_distribution(name):
    tell = made(name)[3]
    state = later(name)
    told, info = tell(state, jnp.full(N, jnp.nan, jnp.float32))
    assert int(info.invalid) == N
    assert np.isnan(info.best) and np.isnan(info.mean) and int(info.elites) == 0
    assert int(told.step) == int(state.step) + 1
    assert_same(distribution(told), distribution(state))


@rows
def test_invalid_members_do_not_pull(name):
    """The mean never moves to a member whose fitness is NaN: all valid ones lie on one side."""
    if ALL[name].gradient:
        pytest.skip("a gradient pushes away from the worst, which is the same direction")
    strategy, _, ask, tell, *_ = made(name)
    state = usual(name)[0]
    one = lambda params: params["layer"]["kernel"][..., 0, 1] - tree()["layer"]["kernel"][0, 1]
    sides = one(ask(state))
    told, _ = tell(state, jnp.where(sides > 0, sides, jnp.nan))
    assert 0 < int(jnp.sum(sides > 0)) < N
    assert float(one(strategy.recommend(told))) > 0


@rows
def test_infinite(name):
    tell = made(name)[3]
    state = later(name)
    fitness = fitness_of(name, state)
    best, worst = jnp.argmax(fitness), jnp.argmin(fitness)
    told, info = tell(state, fitness.at[best].set(jnp.inf).at[worst].set(-jnp.inf))
    assert_finite(told)
    assert int(info.invalid) == 0
    if ALL[name].ranks and not ALL[name].remembers:
        assert_same(told, tell(state, fitness)[0])
    for value in (jnp.inf, -jnp.inf):
        assert_finite(tell(state, jnp.full(N, value, jnp.float32))[0])


@every
def test_all_ties(name):
    """A flat fitness says nothing: it stays finite, whatever its height."""
    tell = made(name)[3]
    state = later(name)
    told, info = tell(state, jnp.zeros(N))
    assert_finite(told)
    assert int(info.elites) == 0
    # What remembers has only seen negative fitness: both heights are better than all of it.
    assert_same(learned(told), learned(tell(state, jnp.full(N, 4.0, jnp.float32))[0]))


@every
def test_order_only(name):
    if not ALL[name].ranks:
        pytest.skip("reads values")
    tell = made(name)[3]
    state = later(name)
    fitness = fitness_of(name, state)
    told, _ = tell(state, fitness)
    remembered = {name: getattr(state, name) for name in set(state._fields) & set(TOLD)}
    values = jnp.sort(jnp.concatenate([jnp.ravel(x) for x in (fitness, *remembered.values())]))
    rank = lambda x: jnp.searchsorted(values, x).astype(jnp.float32)
    for other in (lambda x: x * 2.0**20, lambda x: x * 2.0**-20, rank):
        same = state._replace(**{name: other(x) for name, x in remembered.items()})
        assert_same(learned(tell(same, other(fitness))[0]), learned(told))


@rows
def test_ties(name):
    """Many members of equal fitness are told as what they are, and nothing becomes infinite."""
    tell = made(name)[3]
    fitness = jnp.array([1.0, 1.0, 2.0, 2.0, 0.0, 0.0, 2.0, 1.0])
    told, info = tell(later(name), fitness)
    assert_finite(told)
    assert float(info.best) == 2 and float(info.worst) == 0 and float(info.mean) == 9 / 8 and int(info.elites) == 3


@pytest.mark.parametrize("name", LINEAR)
def test_a_tie_has_no_favorites(name):
    """Two equal members share the weights of their ranks: the mean moves halfway between both ways to break it."""
    tell, state = made(name)[3], later(name)
    order = jnp.array([3.0, 6.0, 0.0, 7.0, 2.0, 5.0, 1.0, 4.0])
    matters = []
    for low in range(N - 1):
        at = lambda first, second, low=low: jnp.where(order == low, first, jnp.where(order == low + 1, second, order))
        mean = lambda first, second: tell(state, at(low + first, low + second))[0].mean  # noqa: B023
        tied, up, down = mean(0.5, 0.5), mean(0.0, 1.0), mean(1.0, 0.0)
        matters.append(max(float(jnp.max(jnp.abs(x - y))) for x, y in zip(*map(jax.tree.leaves, (up, down)))))
        assert_close(tied, jax.tree.map(lambda x, y: 0.5 * (x + y), up, down), rtol=1e-5, atol=1e-5)
    assert max(matters) > 1e-3, "how a tie is broken would make a difference"


@every
def test_a_thousand_generations_of_half_invalid_noise(name):
    _, _, ask, tell, *_ = made(name)
    state, rng = usual(name)[0], np.random.default_rng(3)
    fitness = rng.standard_normal((1000, N)).astype(np.float32)
    fitness[rng.random(fitness.shape) < 0.5] = np.nan
    for row in fitness:
        state, _ = tell(state, row)
    assert int(state.step) == 1000
    assert_finite(state)
    assert_finite(ask(state))


@slow_elsewhere(ALL)
@pytest.mark.parametrize("blocks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_blocks(name, blocks):
    """Blocks change the order of the sums, and nothing else; the same members, the same bits every time."""
    strategy = ALL[name].make(N, blocks=blocks)
    assert strategy.blocks == blocks
    step = quick(lambda state: jaxes.generation(strategy, PROBLEM)((state, ()))[0][0])
    state = later(name)
    # Asking for all is the same program.
    alone, blocked = (jax.jit(each.ask).lower(state).as_text() for each in (made(name)[0], strategy))
    assert alone == blocked
    told = step(state)
    assert_close(told, made(name)[4](state), rtol=1e-4, atol=1e-5)
    assert_same(told, step(state))


@slow_elsewhere(TABLE)
def test_improves(name):
    strategy = ALL[name].make(32, 0.3)

    @quick
    def run():
        state = strategy.init(KEY, tree(), **ALL[name].faster)
        return jaxes.run(strategy, objective, state, generations=60)

    state, infos = run()
    assert float(objective(strategy.recommend(state))) > (0.5 if ALL[name].learns else 0.7) * float(objective(tree()))
    if ALL[name].learns:
        assert float(infos.mean[-1]) > float(infos.mean[0])
    assert infos.sigma.shape == (60,) and bool(jnp.all(infos.sigma > 0))
    assert np.isclose(float(infos.sigma[0]), 0.3)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.schedules])
def test_init_cannot_override_a_schedule(name):
    strategy = TABLE[name].make(N, **dict.fromkeys(TABLE[name].schedules, optax.constant_schedule(0.2)))
    for number in TABLE[name].schedules:
        with pytest.raises(ValueError, match=f"{number} follows a schedule"):
            jax.eval_shape(lambda number=number: strategy.init(KEY, tree(), **{number: 0.2}))


@slow_elsewhere([name for name, row in TABLE.items() if row.schedules])
def test_schedules(name):
    """The first generation sees schedule(0), the one after k tells schedule(k)."""
    numbers = TABLE[name].schedules
    schedules = {number: optax.linear_schedule(0.5 - 0.02 * i, 0.1, 4) for i, number in enumerate(numbers)}
    strategy = TABLE[name].make(N, **schedules)
    fitness = jnp.arange(N, dtype=jnp.float32)

    @quick
    def run():
        def step(state, _):
            new, info = strategy.tell(state, fitness)
            return new, ({number: getattr(state, number) for number in numbers}, info.sigma)

        return jax.lax.scan(step, strategy.init(KEY, tree()), length=3)[1]

    seen, sigma = run()
    for number in numbers:
        np.testing.assert_allclose(seen[number], [schedules[number](k) for k in range(3)], rtol=1e-5)
    if "sigma" in numbers:
        np.testing.assert_allclose(sigma, seen["sigma"], rtol=1e-5)
    # A schedule that is constant is the number itself.
    both = [TABLE[name].make(N, **dict.fromkeys(numbers, x)) for x in (optax.constant_schedule(0.25), 0.25)]
    told = quick(lambda: [each.tell(each.init(KEY, tree()), fitness)[0] for each in both])()
    # Numbers that change by themselves do so but for a schedule.
    for number in {"sigma", "temperature"} & set(numbers):
        told = [state._replace(**{number: 0}) for state in told]
    assert_same(*told)


class TestBadInput:
    @pytest.mark.parametrize("name", TABLE)
    def test_population_size(self, name):
        make = TABLE[name].make
        for size in (1, 0, -4, 10**400):
            with pytest.raises(ValueError, match="population_size must be 2 or more"):
                make(size)
        with pytest.raises(TypeError, match=r"population_size must be an int, got 8\.0"):
            make(8.0)
        with pytest.raises(ValueError, match=r"population_size must be divisible by .*blocks = .*, got 8"):
            make(8, blocks=3)
        with pytest.raises(ValueError, match="blocks must be an int of 1 or more, got 0"):
            make(8, blocks=0)
        if TABLE[name].antithetic:
            with pytest.raises(ValueError, match="population_size must be even with antithetic pairs, got 7; use 8"):
                make(7)
            with pytest.raises(ValueError, match="whole antithetic pairs"):
                make(12, blocks=4)

    @pytest.mark.parametrize("name", TABLE)
    def test_fitness(self, name):
        tell, state = made(name)[3], usual(name)[0]
        for shape in ((N - 1,), (N, 1), ()):
            with pytest.raises(ValueError, match=r"fitness must have shape \(8,\)"):
                tell(state, jnp.zeros(shape))
        with pytest.raises(TypeError, match="fitness must be real numbers"):
            tell(state, jnp.zeros(N, jnp.complex64))

    @pytest.mark.parametrize("name", TABLE)
    def test_params(self, name):
        init = made(name)[0].init
        with pytest.raises(TypeError, match=r"params\['a'\] must be a float array, got dtype int32"):
            init(KEY, {"a": jnp.zeros(3, jnp.int32)})
        with pytest.raises(TypeError, match="must be a float array"):
            init(KEY, {"a": jnp.zeros(3), "b": "text"})
        with pytest.raises(ValueError, match="params must hold at least one float array"):
            init(KEY, {})
        with pytest.raises(ValueError, match="must not be empty"):
            init(KEY, {"a": jnp.zeros((0, 3))})

    @pytest.mark.parametrize("name", TABLE)
    def test_key(self, name):
        init = made(name)[0].init
        for implementation in ("rbg", "unsafe_rbg"):
            with pytest.raises(ValueError, match=f"'{implementation}', which draws the same numbers"):
                init(jax.random.key(0, impl=implementation), tree())
        with pytest.raises(TypeError, match="key must be a typed random key"):
            init(jax.random.PRNGKey(0), tree())
        with pytest.raises(TypeError, match="key must be a typed random key"):
            init(0, tree())
        with pytest.raises(ValueError, match="must be one key"):
            init(jax.random.split(KEY), tree())

    @pytest.mark.parametrize("name", TABLE)
    def test_numbers(self, name):
        strategy = made(name)[0]
        for value in (-0.1, 0.0, float("nan")):
            with pytest.raises(ValueError, match="sigma must be above 0"):
                strategy.init(KEY, tree(), sigma=value)
            with pytest.raises(ValueError, match="sigma must be above 0"):
                TABLE[name].make(N, value).init(KEY, tree())
        with pytest.raises(ValueError, match="sigma must be a scalar"):
            strategy.init(KEY, tree(), sigma=jnp.ones(3))
        with pytest.raises(TypeError, match="sigma must be a number here, got a schedule"):
            strategy.init(KEY, tree(), sigma=optax.constant_schedule(0.1))
        for number in set(TABLE[name].numbers) - {"sigma"}:
            with pytest.raises(ValueError, match=f"{number} must be (above|at least) 0, got -1"):
                strategy.init(KEY, tree(), **{number: -1.0})
        with pytest.raises(TypeError, match="nonsense"):
            strategy.init(KEY, tree(), nonsense=1.0)
        if "sigma" not in TABLE[name].schedules:
            with pytest.raises(TypeError, match="sigma must be a number here, because this strategy adapts it"):
                TABLE[name].make(N, optax.constant_schedule(0.1))

    @pytest.mark.parametrize("name", TABLE)
    def test_ids(self, name):
        strategy, state = made(name)[0], usual(name)[0]
        for ids in (3, jnp.ones(2), jnp.ones((2, 2), int)):
            with pytest.raises(TypeError, match="ids must be a vector of integers"):
                strategy.ask(state, ids)

    @pytest.mark.parametrize("name", ["simple_es", "cem"])
    @pytest.mark.parametrize("fraction", [0, 1.5, -0.1, True, "half"])
    def test_elite_fraction(self, name, fraction):
        with pytest.raises(ValueError, match=r"elite_fraction must be a number in \(0, 1\]"):
            TABLE[name].make(N, elite_fraction=fraction)

    def test_cma_es_of_many_parameters(self):
        with pytest.raises(ValueError, match=r"at most 10,000 numbers for cma_es, got 20,000: .* 1\.5 GiB"):
            jaxes.cma_es(N).init(KEY, jnp.zeros(20_000))

    def test_decay(self):
        with pytest.raises(ValueError, match="decay must be 'decoupled' or 'l2', got 'none'"):
            jaxes.open_es(N, decay="none")


@rows
def test_it_can_be_pickled(name):
    """Among them those whose factory was given functions; the copy is the very strategy."""
    strategy = TABLE[name].make(N)
    assert pickle.loads(pickle.dumps(strategy)) is strategy
    assert copy.deepcopy(strategy) is strategy
    state = usual(name)[0]
    again = pickle.loads(pickle.dumps(jax.tree.map(np.asarray, state._replace(key=0))))
    assert jax.tree.structure(again) == jax.tree.structure(state)


def test_arguments_of_a_pickled_strategy():
    strategy = jaxes.open_es(N, shaping=jaxes.shaping.top(3), noise=jaxes.noise.subset(0.5, "low_rank"))
    wrapped = jaxes.wrappers.keep_best(jaxes.wrappers.bounded(strategy, -1.0, 1.0))
    assert pickle.loads(pickle.dumps(wrapped)) is wrapped
    changed = strategy._replace(recommend=lambda state: state.mean)
    with pytest.raises((AttributeError, pickle.PicklingError)):  # not the strategy that it was made of
        pickle.dumps(changed)


def test_optimizers_and_schedules_of_optax_are_pickled_by_their_code():
    """They are functions inside functions; unpickled twice they are one strategy, which compiles once."""
    tx = optax.chain(jaxes.clip_up(0.3), optax.adam(optax.linear_schedule(1.0, 0.1, 3)))
    strategy = jaxes.wrappers.keep_best(jaxes.open_es(N, optax.linear_schedule(0.1, 0.01, 10), tx=tx))
    data = pickle.dumps(strategy)
    again = pickle.loads(data)
    assert again is pickle.loads(data)
    states = [s.tell(s.init(KEY, tree()), jnp.arange(float(N)))[0] for s in (strategy, again)]
    jax.tree.map(np.testing.assert_array_equal, *(s.recommend(x) for s, x in zip((strategy, again), states)))
    plain = jax.tree.map(np.asarray, states[0].inner._replace(key=0))
    assert jax.tree.structure(pickle.loads(pickle.dumps(plain))) == jax.tree.structure(plain)
    decaying = optax.exponential_decay(0.1, 2, 0.5)
    for sigma in (
        decaying,
        optax.exponential_decay(0.1, 2, 0.5, end_value=0.02),
        optax.warmup_exponential_decay_schedule(0.01, 0.1, 1, 2, 0.5),
        optax.join_schedules([optax.constant_schedule(0.1), decaying], [1]),
    ):
        at = lambda strategy: strategy.tell(strategy.init(KEY, tree()), jnp.arange(float(N)))[0].sigma
        assert at(pickle.loads(pickle.dumps(jaxes.open_es(N, sigma)))) == at(jaxes.open_es(N, sigma))
    for tx in (
        optax.adam(decaying),
        optax.inject_hyperparams(optax.sgd)(learning_rate=decaying),
        optax.MultiSteps(optax.adam(0.1), 2),
        optax.MultiSteps(optax.adam(0.1), 2).gradient_transformation(),
    ):
        copy = pickle.loads(pickle.dumps(jaxes.open_es(N, tx=tx)))
        states = [s.tell(s.init(KEY, tree()), jnp.arange(float(N)))[0] for s in (jaxes.open_es(N, tx=tx), copy)]
        jax.tree.map(np.testing.assert_array_equal, states[0].mean, states[1].mean)
    for tx in ("adam", optax.adam, functools.partial(optax.adam, 0.1), jaxes.clip_up(0.3)):
        assert pickle.loads(pickle.dumps(jaxes.open_es(N, tx=tx))).population_size == N
    assert pickle.loads(pickle.dumps(jaxes.clip_up(0.3))) is jaxes.clip_up(0.3)


def test_what_cannot_be_pickled_is_named():
    lock = threading.Lock()
    locked = optax.GradientTransformation(lambda params: (), lambda updates, *state: (updates, lock))
    wrapped = jaxes.wrappers.keep_best(jaxes.open_es(N, tx=locked))
    with pytest.raises(pickle.PicklingError, match=r"^tx of open_es cannot be pickled .*partial\(optax.adam, 0.01\)"):
        pickle.dumps(wrapped)
    with pytest.raises(pickle.PicklingError, match=r"^sigma of open_es cannot be pickled .*that a module has"):
        pickle.dumps(jaxes.open_es(N, lambda step: 0.1 + 0 * (step if lock else 0)))


def test_ints_that_no_float_holds_are_refused_when_the_strategy_is_made():
    with pytest.raises(ValueError, match="sigma must be a number that a double holds"):
        jaxes.open_es(8, 10**400)
    with pytest.raises(ValueError, match="learning_rate must be a number that a double holds"):
        jaxes.pgpe(8, 0.1, learning_rate=10**400)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (functools.partial(optax.exponential_decay, 0.1, 10), "got a function that makes one; call it"),
        (optax.exponential_decay, "got a function of other arguments"),
        (lambda step: jnp.zeros(2), r"got a function that gives float32\[2\]"),
        (lambda step: None, "got a function that gives None"),
    ],
    ids=["partial", "factory", "vector", "none"],
)
@pytest.mark.parametrize("name", ["sigma", "learning_rate"])
def test_functions_that_are_no_schedule(name, given, got):
    with pytest.raises(TypeError, match=f"^{name} must be a number or a schedule from a step to a number, {got}"):
        jaxes.open_es(N, **{name: given})


def test_optimizers_by_their_names():
    """At the strategy's learning rate; one that is made outside brings its own."""
    fitness, told = jnp.arange(float(N)), []
    for given in ({"tx": "sgd"}, {"tx": "SGD"}, {"tx": optax.sgd}, {"tx": optax.sgd(0.01)}):
        strategy = jaxes.open_es(N, 0.1, **given)
        told.append(strategy.tell(strategy.init(KEY, tree()), fitness)[0].mean)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), told[-1], told[0])
    assert jaxes.sv_open_es(N, 0.1, particles=2, tx="sgd").init(KEY, tree()).learning_rate == np.float32(0.01)
    with pytest.raises(ValueError, match="unknown tx 'adan'; did you mean adam"):
        jaxes.open_es(N, tx="adan")
    assert jaxes.open_es(N, shaping="Centered-Rank").population_size == N
    with pytest.raises(ValueError, match="unknown shaping 'rank'; did you mean centered_rank, "):
        jaxes.open_es(N, shaping="rank")


@rows
def test_a_state_of_another_strategy_is_refused(name):
    strategy, state = made(name)[0], usual(name)[0]
    other = TABLE["cma_es" if name != "cma_es" else "open_es"].make(2 * N)
    fitness = jnp.zeros(2 * N)
    with pytest.raises(ValueError, match=f"got a state of {strategy_name(name)} with population_size={N}"):
        other.tell(state, fitness)
    larger = TABLE[name].make(2 * N)
    with pytest.raises(ValueError, match=f"population_size={2 * N}.* returns, got a state .*population_size={N}"):
        larger.tell(state, fitness)
    for wrong in (KEY, tree(), fitness, None, (1, 2)):
        with pytest.raises(TypeError, match=r"state must be what init of this strategy .* returns, got "):
            strategy.ask(wrong)
        with pytest.raises(TypeError, match="state must be what init"):
            strategy.tell(wrong, fitness[:N])
    with pytest.raises(TypeError, match="no key is given"):
        strategy.ask(KEY, state)


def strategy_name(name):
    return next(known for known in jaxes.STRATEGIES if known == name.split(",")[0])


@rows
def test_fitness_may_be_sharded_over_an_explicit_mesh(name):
    """The default of `jax.make_mesh`: sorting needs all of the fitness on each device."""
    mesh = jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Explicit,))
    strategy, state = made(name)[0], usual(name)[0]
    fitness = jnp.arange(float(N))
    spread = jax.device_put(fitness, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x")))
    tell = lambda fitness: jax.eval_shape(strategy.tell, state, fitness)[1].best
    with jax.set_mesh(mesh):
        assert tell(spread).shape == tell(fitness).shape == ()
    if name in MECHANISMS:
        with jax.set_mesh(mesh):
            got = strategy.recommend(jax.jit(strategy.tell)(state, spread)[0])
        assert_close(got, strategy.recommend(made(name)[3](state, fitness)[0]))


@pytest.mark.parametrize("make", [jaxes.cma_es, jaxes.sep_cma_es, jaxes.snes])
def test_parameters_may_be_sharded_over_an_explicit_mesh(make):
    """Also where a strategy ravels them: they come back as they were laid out."""
    mesh, strategy = jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Explicit,)), make(N)
    params = jax.device_put(jnp.ones((4, 2)), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x")))
    tell = lambda key, params, fitness: strategy.tell(strategy.init(key, params), fitness)[0].mean
    with jax.set_mesh(mesh):
        mean = jax.eval_shape(tell, KEY, params, jnp.arange(float(N)))
    assert mean.sharding.spec[0] == "x"


@slow_elsewhere(ALL)
def test_nothing_is_nan_where_nothing_is_wrong(name):
    """So that `jax_debug_nans` finds a user's NaN, and none of ours."""
    with jax.debug_nans(True):
        later.__wrapped__(name)


@rows
@pytest.mark.parametrize("penalty", [1e30, 1e38, 3e38])
def test_huge_values_poison_nothing(name, penalty):
    """A penalty near the largest float: what comes after it is learned from as if it had never been."""
    state = usual(name)[0]
    members = made(name)[2](state)
    fitness = jnp.where(jnp.arange(N) % 3 == 1, -penalty, evaluate(members))
    state, _ = made(name)[3](state, fitness)
    assert_finite(state)
    before = state
    for _ in range(2):
        state = advance(name, state)
    assert_finite(state)
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in numbers_of(made(name)[2](state)))
    assert facts(state) == facts(before)


@pytest.mark.parametrize("wrap", ["bounded", "integer", "keep_best", "reevaluated", "restarted"])
def test_nothing_is_nan_within_a_wrapper(wrap):
    arguments = {"bounded": (-5.0, 5.0), "reevaluated": (2,)}.get(wrap, ())
    strategy = getattr(jaxes.wrappers, wrap)(jaxes.sep_cma_es(N, 0.5), *arguments)
    with jax.debug_nans(True):
        state = quick(strategy.init)(KEY, tree())
        values = evaluate(strategy.ask(state))
        state, _ = quick(strategy.tell)(state, values)
        assert jnp.all(jnp.isfinite(evaluate(strategy.ask(state))))


@pytest.mark.parametrize(
    ("number", "error"),
    [
        ("0.1", TypeError),
        (True, TypeError),
        (None, TypeError),
        (0.1 + 0j, TypeError),
        (b"0.1", TypeError),
        (float("inf"), ValueError),
        (float("nan"), ValueError),
        (-0.1, ValueError),
        (0.0, ValueError),
        ([0.1], ValueError),
        (np.full(3, 0.1), ValueError),
        (np.complex64(0.1), TypeError),
        (np.bool_(True), TypeError),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["open_es", "snes", "simple_ga"])
def test_numbers_that_are_none(name, number, error):
    with pytest.raises(error, match="sigma must be "):
        TABLE[name].make(N, number).init(KEY, tree())
    if number is not None:  # which stands for the factory's
        with pytest.raises(error, match="sigma must be "):
            TABLE[name].make(N).init(KEY, tree(), sigma=number)


@rows
def test_parameters_that_are_no_numbers(name):
    for wrong in (jnp.nan, jnp.inf, -jnp.inf):
        params = tree()
        params["layer"]["kernel"] = params["layer"]["kernel"].at[1, 0].set(wrong)
        with pytest.raises(ValueError, match=r"params\['layer'\]\['kernel'\]\[.*1, 0\] must be finite, got "):
            made(name)[0].init(KEY, params)


@pytest.mark.parametrize("name", ["open_es", "snes", "simple_ga", "pgpe"])
def test_members_that_there_are_none_of(name):
    strategy, state = made(name)[0], usual(name)[0]
    for wrong in (Block(6, 4), Block(-1, 2), jnp.array([N]), jnp.array([2, -1])):
        with pytest.raises(ValueError, match=f"ids must be those of members, 0 to {N - 1}, got "):
            strategy.ask(state, wrong)


def test_numbers_that_the_dtype_does_not_have():
    for sigma, got in ((1e39, "inf"), (1e-46, "0")):
        with pytest.raises(ValueError, match=f"sigma must be a number that float32 has, got .* which becomes {got}"):
            jaxes.snes(N, sigma).init(KEY, tree())


@pytest.mark.parametrize("wrap", ["bounded", "integer", "keep_best", "reevaluated", "restarted"])
def test_what_is_wrapped_must_be_a_strategy(wrap):
    arguments = {"bounded": (-5.0, 5.0), "reevaluated": (2,)}.get(wrap, ())
    for wrong in ("cma_es", None, 3):
        with pytest.raises(TypeError, match="strategy must be a "):
            getattr(jaxes.wrappers, wrap)(wrong, *arguments)


def test_names_and_factories_stand_for_what_they_make():
    plain = jaxes.open_es(N, 0.1, shaping=jaxes.shaping.z_score(), noise=jaxes.noise.rademacher())
    for shaping, noise in (("z_score", "rademacher"), (jaxes.shaping.z_score, jaxes.noise.rademacher)):
        strategy = jaxes.open_es(N, 0.1, shaping=shaping, noise=noise)
        state = strategy.init(KEY, tree())
        assert_same(strategy.tell(state, jnp.arange(8.0)), plain.tell(plain.init(KEY, tree()), jnp.arange(8.0)))
    with pytest.raises(ValueError, match="unknown shaping 'centred_rank'; did you mean centered_rank"):
        jaxes.open_es(N, shaping="centred_rank")
    with pytest.raises(TypeError, match=r"shaping top must be called with its k: top\(k=...\)"):
        jaxes.open_es(N, shaping=jaxes.shaping.top)
    with pytest.raises(TypeError, match=r"noise must be one of jaxes.noise or its name .* got 0.1"):
        jaxes.open_es(N, noise=0.1)
    with pytest.raises(TypeError, match=r"got the factory cma_es"):
        jaxes.run(jaxes.cma_es, objective, None, generations=1)
    with pytest.raises(TypeError, match=r"such as jaxes.cma_es\(population_size\), got 'cma_es'"):
        jaxes.run("cma_es", objective, None, generations=1)


def test_optimizers_that_ask_for_a_value():
    """`value` is minus the mean fitness of the valid members."""
    seen = []

    def update(updates, state, params=None, *, value, **_):
        seen.append(value)
        return updates, state

    spy = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    strategy = jaxes.open_es(4, 0.1, tx=optax.chain(spy, optax.sgd(0.1)))
    state = strategy.init(KEY, tree())
    seen.clear()
    strategy.tell(state, jnp.array([1.0, 2.0, jnp.nan, 6.0]))
    assert [float(value) for value in seen] == [-3.0]


def test_an_infinite_fitness_beside_an_optimizer_that_asks_for_a_value():
    strategy = jaxes.open_es(4, 0.1, tx=optax.polyak_sgd())
    for best in (jnp.inf, -jnp.inf):
        state, _ = strategy.tell(strategy.init(KEY, tree()), jnp.array([best, -2.0, -jnp.inf, -4.0]))
        assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(strategy.recommend(state)))


def test_a_plateau_reduces_the_step():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1, rtol=0.0, atol=1e-3, accumulation_size=1)
    strategy = jaxes.open_es(4, 0.1, tx=optax.chain(optax.sgd(1.0), plateau))
    state = strategy.init(KEY, tree())
    for _ in range(6):
        state, _ = strategy.tell(state, jnp.array([1.0, 2.0, 3.0, 4.0]))
    assert float(optax.tree_utils.tree_get(state.optimizer, "scale")) < 1


@pytest.mark.parametrize(
    ("tx", "message"),
    [
        (jaxes.clip_up, r"such as optax.adam\(0.01\), got the function clip_up; call it with max_speed"),
        (lambda: 3, "a factory or one of adabelief, .* got 3"),
        (optax.lookahead(optax.sgd(0.1), 5, 0.5), "this one fails: .*fast"),
        ((optax.sgd(0.1), optax.clip(1.0)), "got several; optax.chain makes one"),
        (optax.lbfgs(), "needs the gradient, the parameters and a value to descend, and no more"),
    ],
    ids=["not called", "makes none", "pairs of parameters", "a tuple", "a line search"],
)
def test_optimizers_that_cannot_be_used(tx, message):
    with pytest.raises(TypeError, match=f"tx must be an optax transformation .*{message}"):
        jaxes.open_es(N, tx=tx).init(KEY, tree())
