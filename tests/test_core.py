"""run, generation, minimize, blocks and memory, and what the import loads."""

import functools
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
import jaxes.rl
from jaxes import Block, blocks
from jaxes.support import checks

KEY = jax.random.key(0)


def sphere(x):
    return jnp.sum(x**2)


def test_import_loads_jax_and_optax_only():
    heavy = [
        "brax",
        "mujoco",
        "gymnasium",
        "gymnax",
        "ray",
        "matplotlib",
        "orbax",
        "tensorboardX",
        "flax",
        "tqdm",
        "tyro",
        "imageio",
        "mediapy",
        "scipy.stats",
    ]
    code = (
        "import sys, jax, optax; before = set(sys.modules); import jaxes; "
        f"print([m for m in {heavy!r} if m in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_of_the_contract_is_there():
    for name in jaxes.__all__:
        assert hasattr(jaxes, name)
    assert set(jaxes.STRATEGIES) <= set(jaxes.__all__)


def test_run_continues():
    strategy = jaxes.open_es(8, 0.1)
    state = strategy.init(KEY, jnp.ones(3))
    objective = jaxes.minimize(sphere)
    whole, infos = jaxes.run(strategy, objective, state, generations=6)
    half, _ = jaxes.run(strategy, objective, state, generations=3)
    again, more = jaxes.run(strategy, objective, half, generations=3)
    np.testing.assert_array_equal(whole.mean, again.mean)
    np.testing.assert_array_equal(infos.best[3:], more.best)
    assert infos.best.shape == (6,)
    for bad in (0, -1, 2.0, True, 10**400):
        with pytest.raises(ValueError, match=r"generations must be an int from 1 to 2147483647, got"):
            jaxes.run(strategy, objective, state, generations=bad)
    with pytest.raises(TypeError, match="got a Problem"):
        jaxes.run(strategy, jaxes.problem(sphere), state, generations=1)
    with pytest.raises(ValueError, match="must return one real number for one member, a scalar, got shape"):
        jaxes.run(strategy, lambda x: x, state, generations=1)


def test_minimize():
    assert float(jaxes.minimize(sphere)(jnp.ones(3))) == -3
    assert jaxes.minimize(sphere) == jaxes.minimize(sphere)
    with pytest.raises(TypeError, match="objective must be a function"):
        jaxes.minimize(3)


def test_generation_with_sums():
    """A problem's sums are added over the blocks and reach its state; evaluate may ask for any members."""

    def evaluate(problem_state, key, ask, ids):
        members = ask(ids)
        return -jnp.sum(members**2, axis=1) - problem_state * 0, {"asked": ids.size * jnp.int32(1), "ids": jnp.sum(ids)}

    problem = jaxes.Problem(
        init=lambda key: jnp.float32(0), evaluate=evaluate, update=lambda s, sums: s + sums["ids"].astype(jnp.float32)
    )
    for count in (1, 2):
        strategy = jaxes.open_es(8, 0.1, blocks=count)
        carry = (strategy.init(KEY, jnp.ones(3)), problem.init(KEY))
        (state, problem_state), _ = jax.jit(jaxes.generation(strategy, problem))(carry)
        assert int(state.step) == 1 and float(problem_state) == sum(range(8))
    with pytest.raises(TypeError, match=r"problem must be a jaxes\.Problem"):
        jaxes.generation(strategy, sphere)
    wrong = problem._replace(evaluate=lambda *_: (jnp.zeros(3), ()))
    with pytest.raises(ValueError, match=r"fitness of shape \(4,\), got \(3,\)"):
        jaxes.generation(strategy, wrong)(carry)


def test_over_blocks():
    fn = lambda block: (block.ids * 2, jnp.sum(block.ids))
    for count in (1, 2, 4):
        rows, total = blocks.over_blocks(fn, 8, count)
        np.testing.assert_array_equal(rows, 2 * np.arange(8))
        assert int(total) == 28


def test_block():
    block = Block(4, 4)
    assert block.ids.tolist() == [4, 5, 6, 7] and block.ids.dtype == jnp.int32
    assert block.pairs == Block(2, 2)
    assert block.of(jnp.arange(10)).tolist() == [4, 5, 6, 7]


MATRIX = ("cma_es", "xnes", "ma_es", "iamalgam", "sv_cma_es")  # beside which a population of few is small
# Parents are kept, so they must be few; a strategy of particles is cut into its particles, so they must be many.
CUT = {"gesmr_ga": {"elite_fraction": 0.05}, "sv_cma_es": {"particles": 32}}
DRAWN_ALIKE = ("open_es", "snes", "cma_es", "simple_ga", "gesmr_ga")  # one strategy of each kind


@pytest.mark.parametrize(
    "name", [name if name in DRAWN_ALIKE else pytest.param(name, marks=pytest.mark.slow) for name in jaxes.STRATEGIES]
)
def test_blocks_bound_memory(name):
    """Temporary memory of a whole generation falls with the number of blocks; a population that is kept does not."""
    members, parameters = (4096, 30) if name in MATRIX else (512, 2000)

    def memory(count):
        strategy = jaxes.STRATEGIES[name](members, 0.1, blocks=count, **CUT.get(name, {}))
        step = jaxes.generation(strategy, jaxes.problem(sphere))
        state = strategy.init(KEY, jnp.ones(parameters))
        memory = jax.jit(lambda state: step((state, ()))[0][0]).lower(state).compile().memory_analysis()
        return memory.temp_size_in_bytes, memory.output_size_in_bytes

    (one, kept), (many, _) = memory(1), memory(32)
    assert many - kept < (one - kept) / 4, (one, many, kept)


def test_choice():
    assert checks.choice("strategy", "cem", jaxes.STRATEGIES) == "cem"
    with pytest.raises(ValueError, match=r"unknown strategy 'cma'; did you mean .*cma_es"):
        checks.choice("strategy", "cma", jaxes.STRATEGIES)


@pytest.mark.parametrize("implementation", ["philox4x32", "threefry4x32"])
def test_other_keys(implementation):
    strategy = jaxes.open_es(8, 0.1)
    members = strategy.ask(strategy.init(jax.random.key(0, impl=implementation), jnp.zeros(3)))
    assert len({tuple(row) for row in np.asarray(members).tolist()}) == 8
    np.testing.assert_array_equal(members[0::2], -members[1::2])


ORDER = np.array([3.0, 1.0, 2.0, 0.0, 5.0, 7.0, 4.0, 6.0])


@pytest.mark.parametrize("make", [jaxes.cma_es, jaxes.open_es, jaxes.simple_ga, jaxes.ars, jaxes.pgpe])
def test_doubles_that_the_host_tells_are_ranked_as_doubles(make):
    """At 1e8 the values of float32 are 8 apart, at 1e39 they are infinite, at 1e-46 and 1e-40 they are zero."""
    strategy = make(8, 0.1)
    state = strategy.init(jax.random.key(0), jnp.ones(3))
    wanted = strategy.recommend(strategy.tell(state, jnp.asarray(ORDER, jnp.float32))[0])
    far = np.arange(2**53 - 8, 2**53)[ORDER.astype(int)]
    for values in (
        ORDER + 1e8,
        ORDER - 1e8,
        ORDER * 1e39,
        list(ORDER * 1e-46),
        (1e-40 * ORDER).astype(np.float32),
        far,
    ):
        state_after, info = strategy.tell(state, values)
        np.testing.assert_allclose(strategy.recommend(state_after), wanted, rtol=1e-5)
        np.testing.assert_allclose(info.best, min(float(np.max(values)), 3.4028235e38), rtol=1e-6, atol=1e-37)


N_FAR = 64
REMEMBERING = {
    "keep_best": lambda: jaxes.wrappers.keep_best(jaxes.snes(N_FAR, 0.1)),
    "keep_best_reevaluated": lambda: jaxes.wrappers.keep_best(jaxes.wrappers.reevaluated(jaxes.snes(N_FAR // 2), 2)),
    "restarted": lambda: jaxes.wrappers.restarted(jaxes.snes(N_FAR, 0.1)),
    "reevaluated": lambda: jaxes.wrappers.reevaluated(jaxes.random_search(N_FAR // 2), 2),
    **{
        make.__name__: lambda make=make: make(N_FAR, 0.1)
        for make in (
            jaxes.hill_climbing,
            jaxes.simulated_annealing,
            jaxes.differential_evolution,
            jaxes.particle_swarm,
            jaxes.simple_ga,
        )
    },
}


@pytest.mark.parametrize("name", REMEMBERING)
def test_what_is_remembered_of_doubles_is_what_was_told(name):
    """At 1e8 a first generation that float32 cannot tell apart hides no member that is better by 500 later."""
    strategy = REMEMBERING[name]()
    state = strategy.init(jax.random.key(0), jnp.ones(3))
    state, info = strategy.tell(state, 1e8 + 0.01 * np.arange(N_FAR))
    assert info.best == info.mean == info.worst == 1e8
    better = strategy.ask(state)[0]
    values = 1e8 - 1e5 * np.arange(N_FAR)
    values[:2] = 1e8 + 500
    state, info = strategy.tell(state, values)
    np.testing.assert_array_equal(strategy.recommend(state), better)
    assert info.best == np.float32(1e8 + 500)


def test_doubles_where_values_count():
    """Differences from the mean are those of the doubles; values that float32 has not are refused."""
    state, told = None, {}
    for shaping in ("z_score", "identity"):
        strategy = jaxes.snes(8, 0.1, shaping=shaping)
        state = strategy.init(jax.random.key(0), jnp.ones(3))
        told[shaping] = lambda values, strategy=strategy, state=state: strategy.tell(state, values)[0].mean
    np.testing.assert_allclose(
        told["z_score"](ORDER + 1e8), told["z_score"](jnp.asarray(ORDER, jnp.float32)), rtol=1e-5
    )
    np.testing.assert_allclose(
        told["z_score"](ORDER * 1e39), told["z_score"](jnp.asarray(ORDER, jnp.float32)), rtol=1e-5
    )
    np.testing.assert_array_equal(
        told["identity"](ORDER + 0.1), told["identity"](jnp.asarray(ORDER + 0.1, jnp.float32))
    )
    with pytest.raises(ValueError, match=r"fitness must hold numbers that float32 has .* got at most 7e\+39; scale it"):
        told["identity"](ORDER * 1e39)
    with pytest.raises(ValueError, match=r"numbers that float32 has .* got at most 7e-46; scale it"):
        told["identity"](ORDER * 1e-46)


@pytest.mark.parametrize(
    "values", [{"a": 1.0}.values(), (x for x in (1, 2)), {1, 2}, None, "12", [10**400, 1], [1, None]]
)
def test_what_is_no_fitness(values):
    strategy = jaxes.snes(2, 0.1)
    with pytest.raises(TypeError, match=r"^fitness must be 2 real numbers, one for each candidate in their order"):
        strategy.tell(strategy.init(jax.random.key(0), jnp.ones(3)), values)


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([Decimal(1), Decimal("2.5")], 2.5),
        ([Fraction(1, 2), Decimal("nan")], 0.5),
        (np.array([Fraction(3, 4), 0], object), 0.75),
    ],
    ids=["decimal", "mixed", "array"],
)
def test_exact_numbers_are_fitness(values, best):
    strategy = jaxes.snes(2, 0.1)
    assert strategy.tell(strategy.init(jax.random.key(0), jnp.ones(3)), values)[1].best == best


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([Decimal("1e400"), 1], r"order: got Decimal\('1E\+400'\), which is beyond the largest double"),
        ([Fraction(10**400, 3), 1], "order: got a large Fraction, which is beyond the largest double"),
        (np.array([1, "a"], object), "order: number 1 must be one, got 'a'"),
    ],
    ids=["decimal", "fraction", "string"],
)
def test_errors_name_the_fitness(values, message):
    strategy = jaxes.snes(2, 0.1)
    with pytest.raises(TypeError, match=f"^fitness must be 2 real numbers, one for each candidate in their {message}"):
        strategy.tell(strategy.init(jax.random.key(0), jnp.ones(3)), values)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: jaxes.run(s, jnp.sum, None, generations=1),
        lambda s: next(iter(jaxes.fit(s, jaxes.problem(jnp.sum), jnp.ones(2), key=KEY, generations=1))),
        lambda s: jaxes.check(s),
        lambda s: jaxes.generation(s, jaxes.problem(jnp.sum)),
        lambda s: jaxes.wrappers.bounded(s, 0, 1),
        lambda s: jaxes.wrappers.restarted(s),
    ],
    ids=["run", "fit", "check", "generation", "bounded", "restarted"],
)
def test_no_strategy_is_refused_with_the_factory_that_is_meant(call):
    for given, wanted in (
        ("cma_es", r"jaxes.cma_es\(population_size\), got 'cma_es'"),
        ("CMA-ES", r"jaxes.cma_es\(population_size\), got 'CMA-ES'"),
        (jaxes.snes, r"jaxes.snes\(population_size\), got the factory snes, which is not called"),
        (functools.partial(jaxes.snes, 8), r"jaxes.snes\(population_size\), got the factory snes, which is not called"),
        (jaxes.wrappers.keep_best, r"jaxes.wrappers.keep_best\(strategy\), got the factory keep_best"),
        ("quick", r"jaxes.open_es\(256, 0.02\), got 'quick'"),
    ):
        with pytest.raises(TypeError, match=rf"^strategy must be a .*Strategy.* such as {wanted}"):
            call(given)


def test_numbers_that_an_objective_may_return():
    strategy = jaxes.snes(8, 0.1)
    state = strategy.init(jax.random.key(0), jnp.ones(3))
    best = lambda objective: jaxes.run(strategy, objective, state, generations=1)[1].best.item()
    assert best(lambda x: x[0] < 9) == 1 and best(jaxes.minimize(lambda x: x[0] < 9)) == -1
    assert best(lambda x: jnp.uint32(3) + 0 * x[:1].astype(jnp.uint32)) == 3
    assert best(jaxes.minimize(lambda x: jnp.uint32(3) + 0 * x[0].astype(jnp.uint32))) == -3
    for wrong in (lambda x, y: x, lambda: 1, jaxes.minimize(lambda x, y: x), "sphere"):
        with pytest.raises(TypeError, match="objective must be a function of one member, got"):
            best(wrong)
    with pytest.raises(TypeError, match="objective must return one real number for one member, got 'high'"):
        best(lambda x: "high")


def test_ints_that_no_double_is_near_are_refused_in_a_sentence():
    huge, wanted = 10**400, "an int of 1329 bits"
    strategy, x = jaxes.cma_es(8), jnp.ones(3)
    for call in (
        lambda: strategy.init(KEY, x, sigma=huge),
        lambda: jaxes.shaping.boltzmann(huge),
        lambda: jaxes.clip_up(huge),
        lambda: jaxes.minimize_function(sum, [1.0], 1.0, budget=huge),
    ):
        with pytest.raises(ValueError, match=wanted):
            call()
    with pytest.raises(ValueError, match=r"which must be True or False, or a prefix .* shapes fit, got a list of 2"):
        jaxes.wrappers.integer(strategy, [True, False]).init(KEY, x)
