"""Members of low rank, beside the dense matrices that they stand for."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import models
import numpy as np
import pytest
import toys
from flax import nnx
from models import CNN, KEY, MLP, MODELS

import jaxes
from jaxes import lowrank, noise, rl
from jaxes.lowrank import interpreter
from jaxes.training import build
from jaxes.training.config import Config, complete

POPULATION = 6


@pytest.fixture(autouse=True)
def as_flax_needs():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def population(model, rank=2, distribution="normal", plan=None, sigma=0.1):
    strategy = jaxes.open_es(POPULATION, sigma, noise=noise.low_rank(rank, distribution, plan))
    return jax.jit(strategy.ask)(strategy.init(jax.random.key(1), model.params))


def repeated(inputs):
    return jax.tree.map(lambda x: jnp.repeat(x[None], POPULATION, 0), inputs)


@pytest.mark.parametrize(("name", "rank"), [*((name, 2) for name in MODELS), ("linen MLP", 1)])
def test_a_model_gives_what_its_dense_members_give(name, rank):
    model = models.model(name)
    plan = lowrank.plan(model.apply, model.params, *model.inputs)
    assert sum(entry.split is not None for entry in plan.entries) == model.low_rank, str(plan)
    members = population(model, rank, plan=plan)
    uses = []
    got = jax.jit(jaxes.vmap(model.apply))(members, *repeated(model.inputs))
    want = jax.jit(jax.vmap(model.apply))(jaxes.materialize(members), *repeated(model.inputs))
    np.testing.assert_allclose(got, want, atol=1e-5 * max(1, float(jnp.abs(want).max())))
    assert float(jnp.std(want, axis=0).max()) > 1e-3
    one = jax.tree.map(lambda x: x[0], lowrank.own(members))
    jax.eval_shape(lowrank.structured(model.apply, uses), lowrank.whole(lowrank.common(members), one), *model.inputs)
    assert uses and all(use.kept for use in uses)


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_sum_over_dense_perturbations(name):
    model = models.model(name)
    kind = noise.low_rank(2, plan=lowrank.plan(model.apply, model.params, *model.inputs))
    z = kind.sample(KEY, jnp.arange(5), model.params)
    weights = jax.random.normal(KEY, (5,))
    want = jax.tree.map(lambda x: jnp.tensordot(weights, x, 1), jaxes.materialize(z))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), kind.combine(weights, z), want)


def test_members_are_the_same_however_they_are_asked_for():
    model = models.model("linen MLP")
    strategy = jaxes.open_es(8, 0.1, noise=noise.low_rank())
    state = strategy.init(KEY, model.params)
    asked = jax.jit(lambda *ids: jaxes.materialize(strategy.ask(state, *ids)))
    everyone, some = asked(), asked(jnp.array([6, 1]))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[jnp.array([6, 1])], b), everyone, some)
    mirrored = jax.tree.map(lambda x, m: x[0::2] + x[1::2] - 2 * m, everyone, model.params)
    assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(mirrored)) < 1e-6


@pytest.mark.parametrize("factory", [jaxes.open_es, jaxes.ars, jaxes.esmc, jaxes.pes, jaxes.nres, jaxes.sv_open_es])
def test_every_strategy_with_a_gradient_takes_it(factory):
    options = {"unrolls": 3} if factory in (jaxes.pes, jaxes.nres) else {}
    options |= {"particles": 2} if factory is jaxes.sv_open_es else {}
    low, high = (
        factory(32, 0.05, noise=kind, learning_rate=0.05, **options) for kind in (noise.low_rank(), noise.gaussian())
    )
    params = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
    x = jax.random.normal(KEY, (16, 4))
    loss = lambda p: jnp.mean((x @ p["w"] + p["b"]) ** 2)
    objective, ends = jaxes.minimize(loss), []
    for strategy in (low, high):
        state, _ = jaxes.run(strategy, objective, strategy.init(jax.random.key(2), params), generations=60)
        ends.append(float(loss(strategy.recommend(state))))
    assert ends[0] < 0.5 * float(loss(params)) and ends[0] < 3 * ends[1] + 0.05 * float(loss(params))


@pytest.mark.parametrize("distribution", ["rademacher", "normal"])
def test_its_gradient_is_that_of_full_rank_on_a_linear_function(distribution):
    """In the mean over many draws; and its variance is at most 1.3 times that of full rank, at rank 1."""
    params = {"w": jnp.zeros((16, 12)), "b": jnp.zeros(12)}
    slope = jax.tree.map(lambda x: jax.random.normal(KEY, x.shape), params)

    def estimates(kind, count=4000):
        def one(key):
            z = jaxes.materialize(kind.sample(key, jnp.arange(1), params))
            value = sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(z), jax.tree.leaves(slope), strict=True))
            return jax.tree.map(lambda x: x[0] * value, z)

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), count))

    low, full = estimates(noise.low_rank(1, distribution)), estimates(noise.gaussian())
    size = sum(x.size for x in jax.tree.leaves(slope))
    length = math.sqrt(sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(slope)))
    off = jax.tree.map(lambda x, s: float(jnp.sum((x.mean(0) - s) ** 2)), low, slope)
    error = math.sqrt(sum(jax.tree.leaves(off)))
    assert error < 1.3 * length * math.sqrt((size + 1) / 4000)
    spread = lambda tree: sum(float(jnp.var(x, axis=0).sum()) for x in jax.tree.leaves(tree))
    assert spread(low) < 1.3 * spread(full)


def test_what_has_no_rule_is_made_dense_and_told(capsys):
    params = {"w": jnp.ones((4, 3)), "b": jnp.ones(3), "s": jnp.ones(()), "u": jnp.ones((2, 2))}
    apply = lambda p, x: jnp.sort(p["w"], axis=0)[0] + p["b"] * p["s"] + jnp.sum(x)
    plan = lowrank.explain(apply, params, jnp.ones(2))
    assert [entry.split for entry in plan.entries] == [None] * 4
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["has no two sides", "is a number", "is not used", "met sort"]
    model = population(type("M", (), {"params": params}), rank=1)
    got = jaxes.vmap(apply)(model, jnp.ones((POPULATION, 2)))
    np.testing.assert_allclose(got, jax.vmap(apply)(jaxes.materialize(model), jnp.ones((POPULATION, 2))), atol=1e-5)


def test_loops_and_branches():
    """Through while, cond, and a scan along a parameter's own axis."""
    params = {"w": 0.3 * jax.random.normal(KEY, (4, 4)), "rows": jax.random.normal(KEY, (3, 4, 4))}

    def apply(p, x):
        x = jax.lax.fori_loop(0, jnp.where(x[0] > 0, 3, 2), lambda _, x: jnp.tanh(x @ p["w"]), x)
        x = jax.lax.cond(x[0] > 0, lambda x: x @ p["w"], lambda x: p["w"] @ x, x)
        return jax.lax.scan(lambda x, row: (jnp.tanh(x @ row), None), x, p["rows"])[0]

    x = jax.random.normal(jax.random.key(4), (POPULATION, 4))
    plan = lowrank.plan(apply, params, x[0])
    assert [entry.split for entry in plan.entries] == [lowrank.Split(1, 1), lowrank.Split(0, 1)]
    members = population(type("M", (), {"params": params}), plan=plan)
    got, want = jaxes.vmap(apply)(members, x), jax.vmap(apply)(jaxes.materialize(members), x)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_the_entries_of_a_stack_keep_their_factors():
    """`unstack`, an operation of its own since JAX 0.11, along a stack of layers and along a side."""
    params = {"layers": jax.random.normal(KEY, (3, 4, 4)), "w": jax.random.normal(KEY, (2, 3, 4))}

    def apply(p, x):
        for w in p["layers"]:
            x = jnp.tanh(x @ w)
        first, second = jnp.unstack(p["w"])
        return first @ x + second @ x

    x = jax.random.normal(jax.random.key(4), (POPULATION, 4))
    splits = {"['layers']": lowrank.Split(1, 1), "['w']": lowrank.Split(0, 2)}
    plan = lowrank.plan(apply, params, x[0])
    plan = plan._replace(entries=tuple(entry._replace(split=splits[entry.name]) for entry in plan.entries))
    members = population(type("M", (), {"params": params}), plan=plan)
    got, want = jaxes.vmap(apply)(members, x), jax.vmap(apply)(jaxes.materialize(members), x)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    one = lowrank.whole(lowrank.common(members), jax.tree.map(lambda x: x[0], lowrank.own(members)))
    uses = []
    jax.eval_shape(lowrank.structured(apply, uses), one, x[0])
    assert [use for use in uses if not use.kept] == []


def test_a_scan_whose_parts_are_not_told(monkeypatch):
    """What a future JAX might do: the matrices are made, and the numbers stay right."""
    monkeypatch.setattr(interpreter, "parts_of_scan", lambda params: None)
    params = {"w": 0.3 * jax.random.normal(KEY, (4, 4))}
    apply = lambda p, x: jax.lax.scan(lambda x, _: (jnp.tanh(x @ p["w"]), None), x, length=3)[0]
    members, x = population(type("M", (), {"params": params})), jnp.ones((POPULATION, 4))
    got, want = jaxes.vmap(apply)(members, x), jax.vmap(apply)(jaxes.materialize(members), x)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_parameters_that_are_none():
    """As in Equinox modules without a bias: a None is a part of the tree, and no parameter."""
    params = {"w": jnp.ones((4, 3)), "bias": None, "rest": (None, {"g": jnp.ones(3)})}
    strategy = jaxes.open_es(6, 0.1, noise=jaxes.noise.low_rank())
    state = strategy.init(KEY, params)
    members = strategy.ask(state)
    apply = lambda p, x: x @ p["w"] * p["rest"][1]["g"]
    x = jnp.ones((6, 4))
    got, want = jaxes.vmap(apply)(members, x), jax.vmap(apply)(jaxes.materialize(members), x)
    np.testing.assert_allclose(got, want, atol=1e-5)
    whole = lowrank.whole(lowrank.common(members), lowrank.own(members))
    assert jax.tree.structure(whole) == jax.tree.structure(members)
    some = strategy.ask(state, jnp.array([4, 1]))
    np.testing.assert_array_equal(jaxes.materialize(some)["w"], jaxes.materialize(members)["w"][jnp.array([4, 1])])


def test_shapes_may_change_on_the_way():
    """Casts, slices, reshapes, transposes, products with numbers."""
    params = {"w": jax.random.normal(KEY, (6, 8))}

    def apply(p, x):
        w = -(p["w"].astype(jnp.float32) * 2.0)
        first, second = jnp.split(w, 2, axis=1)
        heads = w.reshape(2, 3, 2, 4)
        wide = jnp.einsum("ab,abcd->cd", x.reshape(2, 3), heads).reshape(-1)
        return jnp.concatenate([x @ first, second.T @ x, w[1:4, ::2].T @ x[:3], wide, w.T.T[:, :2].T @ x])

    x = jax.random.normal(KEY, (POPULATION, 6))
    uses = []
    members = population(type("M", (), {"params": params}))
    got, want = jaxes.vmap(apply)(members, x), jax.vmap(apply)(jaxes.materialize(members), x)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    one = lowrank.whole(lowrank.common(members), jax.tree.map(lambda x: x[0], lowrank.own(members)))
    jax.eval_shape(lowrank.structured(apply, uses), one, x[0])
    assert [use for use in uses if not use.kept] == []


@pytest.mark.parametrize("name", ["CNN", "transformer, tied embedding", "stacked layers"])
def test_weights_of_eight_bits(name):
    """The shared matrices are rounded, and then a model gives what its dense members give."""
    model = models.model(name)
    kind = noise.low_rank(plan=lowrank.plan(model.apply, model.params, *model.inputs), weights="int8")
    strategy = jaxes.open_es(POPULATION, 0.05, noise=kind)
    members = jax.jit(strategy.ask)(strategy.init(jax.random.key(1), model.params))
    matrices = [x for x in jax.tree.leaves(members, is_leaf=lowrank.is_low_rank) if lowrank.is_low_rank(x)]
    assert matrices and all(x.w.dtype == jnp.int8 and x.dtype == jnp.float32 for x in matrices)
    got = jax.jit(jaxes.vmap(model.apply))(members, *repeated(model.inputs))
    want = jax.jit(jax.vmap(model.apply))(jaxes.materialize(members), *repeated(model.inputs))
    np.testing.assert_allclose(got, want, atol=2e-5 * max(1, float(jnp.abs(want).max())))
    middle = jax.tree.map(lambda x: (x[0] + x[1]) / 2, jaxes.materialize(members))  # of a pair of mirror images
    for x, mean in zip(jax.tree.leaves(middle), jax.tree.leaves(model.params), strict=True):
        assert float(jnp.abs(x - mean).max()) <= 0.51 / 127 * float(jnp.abs(mean).max()) + 1e-6


@pytest.mark.parametrize("rank", [1, 2])
def test_inputs_that_members_share(rank):
    """As users compile it: XLA:CPU of jax 0.10.2 computes some sums of products of broadcasts wrongly."""
    x, params = jax.random.normal(KEY, (256, 64)), {"w": jax.random.normal(KEY, (64, 64))}
    strategy = jaxes.open_es(128, 0.1, noise=noise.low_rank(rank))
    members = jax.jit(strategy.ask)(strategy.init(KEY, params))
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        got = jax.jit(lambda members: jaxes.vmap(lambda p: x @ p["w"])(members))(members)
    finally:
        jax.config.update("jax_disable_most_optimizations", True)  # as tests/conftest.py has it for this module
    dense = jnp.einsum("bi,pij->pbj", x, jaxes.materialize(members)["w"])
    np.testing.assert_allclose(got, dense, atol=2e-4)


def test_low_precision():
    """bf16: within its own rounding of the dense members."""
    module, x = MLP(dtype=jnp.bfloat16), jax.random.normal(KEY, (5, 8))
    params = module.init(KEY, x)
    members = population(type("M", (), {"params": params}))
    inputs = jnp.repeat(x[None], POPULATION, 0)
    got = jax.jit(jaxes.vmap(module.apply))(members, inputs)
    want = jax.jit(jax.vmap(module.apply))(jaxes.materialize(members), inputs)
    assert got.dtype == jnp.bfloat16
    np.testing.assert_allclose(got.astype(jnp.float32), want.astype(jnp.float32), atol=6e-2)
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    kept = population(type("M", (), {"params": half}))
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(jaxes.materialize(kept)))


@pytest.mark.parametrize("weights", ["float", "int8"])
def test_low_precision_under_strict_promotion(weights):
    params = {"w": jnp.ones((8, 4), jnp.bfloat16), "b": jnp.ones(4, jnp.bfloat16)}
    strategy = jaxes.open_es(POPULATION, 0.1, noise=noise.low_rank(weights=weights))
    x = jnp.ones((POPULATION, 8), jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        state = strategy.init(KEY, params)
        out = jaxes.vmap(lambda p, x: x @ p["w"] + p["b"])(strategy.ask(state), x)
        state, _ = strategy.tell(state, jnp.sum(out.astype(jnp.float32), axis=1))
    assert out.dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(state.mean))
    assert float(jnp.abs(state.mean["w"] - params["w"]).max()) > 0


def test_the_population_is_never_made():
    """Compiled memory of a generation of a wide model: far below that of its matrices."""
    module, x = MLP((256, 256, 8)), jnp.zeros((64, 32))
    strategy = jaxes.open_es(64, 0.1, noise=noise.low_rank())
    state = strategy.init(KEY, module.init(KEY, x[0]))

    def generation(state):
        out = jaxes.vmap(module.apply)(strategy.ask(state), x)
        return strategy.tell(state, -jnp.sum(out**2, axis=1))[0]

    temporary = jax.jit(generation).lower(state).compile().memory_analysis().temp_size_in_bytes
    assert temporary < 0.1 * 64 * 4 * jaxes.support.trees.size(state.mean)


def test_signs_are_signs():
    z = noise.low_rank().sample(KEY, jnp.arange(3), {"w": jnp.zeros((40, 30)), "b": jnp.zeros(5)})
    for leaf in (z["w"].a, z["w"].b, z["b"]):
        assert set(np.unique(leaf)) == {-1.0, 1.0}
    assert abs(float(z["w"].a.mean())) < 0.4 and z["w"].b.shape == (3, 1, 30)
    flat = np.concatenate([np.ravel(x) for x in (z["w"].a, z["w"].b, z["b"])])
    assert len({flat[i * 75 : i * 75 + 40].tobytes() for i in range(3)}) == 3


def test_a_rank_above_a_side_is_that_side(capsys):
    params = {"w": jnp.zeros((40, 3))}
    assert noise.low_rank(5).sample(KEY, jnp.arange(2), params)["w"].a.shape == (2, 3, 40)
    lowrank.explain(lambda p, x: x @ p["w"], params, jnp.zeros(40), rank=5)
    assert "rank 3 (of 5 asked: its smaller side)" in capsys.readouterr().out


def test_bad_input():
    with pytest.raises(ValueError, match="rank must be an int of 1 or more, got 0"):
        noise.low_rank(0)
    with pytest.raises(ValueError, match="unknown distribution 'cauchy'"):
        noise.low_rank(distribution="cauchy")
    with pytest.raises(ValueError, match="unknown weights 'int4'"):
        noise.low_rank(weights="int4")
    with pytest.raises(TypeError, match=r"params\['n'\] must be a float array, got int32"):
        lowrank.plan(lambda p, x: x, {"n": jnp.zeros((2, 2), jnp.int32)}, jnp.zeros(2))
    plan = lowrank.plan(lambda p, x: x @ p["w"], {"w": jnp.zeros((3, 2))}, jnp.zeros(3))
    with pytest.raises(ValueError, match="plan must be made for the parameters"):
        noise.low_rank(plan=plan).sample(KEY, jnp.arange(2), {"v": jnp.zeros((3, 2))})

    class Counting(nn.Module):
        @nn.compact
        def __call__(self, x):
            count = self.variable("state", "count", lambda: jnp.zeros(()))
            count.value = count.value + 1
            return nn.Dense(2)(x)

    module = Counting()
    variables = module.init(KEY, jnp.zeros(3))
    with pytest.raises(ValueError, match=r"apply must be a pure function.*pass what it changes as an input"):
        lowrank.plan(module.apply, variables, jnp.zeros(3))


def test_a_convolutional_model_through_an_objective():
    """`jaxes.problem` runs members of low rank by their factors."""
    module, x = CNN(), jax.random.normal(KEY, (2, 16, 16, 3))
    params = module.init(KEY, x)
    strategy = jaxes.open_es(8, 0.05, noise=noise.low_rank())
    objective = lambda p: -jnp.mean(module.apply(p, x) ** 2)
    _, infos = jaxes.run(strategy, objective, strategy.init(KEY, params), generations=3)
    assert bool(jnp.isfinite(infos.mean).all())


@pytest.mark.parametrize(
    ("network", "mode"), [("mlp", "scan"), ("gru", "refill"), pytest.param("nnx", "refill", marks=pytest.mark.slow)]
)
def test_a_rollout_plays_members_by_their_factors(network, mode):
    """The returns of the dense members; linen and nnx, with a memory, with lanes that take the next member."""
    env = toys.chase()
    if network == "nnx":
        policy = rl.policy(lambda rngs: nnx.Sequential(nnx.Linear(2, 8, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)), env)
    else:
        policy = getattr(rl, network)(env, (8,))
    low = jaxes.open_es(16, 0.3, noise=noise.low_rank())
    dense = low._replace(ask=lambda state, ids=None: jaxes.materialize(low.ask(state, ids)))
    problem = rl.rollout(env, policy, max_steps=12, mode=mode, lanes=4 if mode == "refill" else None)
    ends = []
    for strategy in (low, dense):
        carry = strategy.init(KEY, policy.init(jax.random.key(1))), problem.init(jax.random.key(2))
        _, info = jax.jit(jaxes.generation(strategy, problem))(carry)
        ends.append(info)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), *ends)
    assert float(ends[0].best) > float(ends[0].worst)


def test_training_plans_for_the_policy_itself():
    """A recurrent policy by its name on the command line: every kernel of its cells is a matrix."""
    pytest.importorskip("gymnax")
    config = Config("gymnax/CartPole-v1", network="gru", hidden=(8,), noise="low_rank", population_size=8)
    parts = build(complete(config))
    state = parts.strategy.init(KEY, parts.policy.init(KEY))
    members = jax.tree.leaves(jax.eval_shape(parts.strategy.ask, state), is_leaf=lowrank.is_low_rank)
    kernels = [x for x in jax.tree.leaves(state.mean) if x.ndim > 1]
    assert len(kernels) > 5 and sum(map(lowrank.is_low_rank, members)) == len(kernels)
