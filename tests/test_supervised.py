"""Learning from examples: one batch for all, models of every kind and precision, data from packages and files."""

import doctest
import gzip
import importlib
import struct
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxes
from jaxes import lowrank, supervised
from jaxes.noise import low_rank

KEY = jax.random.key(0)
CROSS_ENTROPY = optax.softmax_cross_entropy_with_integer_labels


class MLP(nn.Module):
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x):
        kinds = {"dtype": self.dtype, "param_dtype": self.dtype}
        x = nn.relu(nn.Dense(12, **kinds)(x.reshape(len(x), -1).astype(self.dtype)))
        return nn.Dense(3, **kinds)(x)


class CNN(nn.Module):
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x):
        kinds = {"dtype": self.dtype, "param_dtype": self.dtype}
        x = nn.relu(nn.Conv(6, (3, 3), strides=2, **kinds)(x.astype(self.dtype)))
        return nn.Dense(3, **kinds)(x.reshape(len(x), -1))


@pytest.fixture(scope="module")
def stripes():
    """Pictures of 4 x 4 numbers whose brightest column is the label."""
    labels = jax.random.randint(KEY, (60,), 0, 3)
    bright = jax.nn.one_hot(labels, 4)[:, None, :, None]
    return 2 * bright + 0.5 * jax.random.normal(jax.random.key(1), (60, 4, 4, 1)), labels


# --- the problem ----------------------------------------------------------------------------------------------------


def test_a_batch_is_common_to_the_population_and_its_blocks():
    """Every example has a loss of its own, so the batch can be read off the fitness."""
    x = jnp.arange(100.0)
    seen = supervised.problem(lambda w, x: w * x, x, x, loss=lambda y, t: t, batch_size=1)
    evaluate = lambda key, ids: seen.evaluate(seen.init(KEY), key, lambda: jnp.ones(len(ids)), jnp.asarray(ids))[0]
    drawn = []
    for i in range(12):
        key = jax.random.key(i)
        first, second = evaluate(key, range(4)), evaluate(key, range(4, 8))
        assert len({*first.tolist(), *second.tolist()}) == 1
        drawn.append(-first[0].item())
    assert len(set(drawn)) > 8 and all(0 <= value < 100 for value in drawn)


def test_the_fitness_is_the_mean_loss_turned(stripes):
    x, labels = stripes
    model = MLP(jnp.float32)
    problem = supervised.problem(model.apply, x, labels, loss=CROSS_ENTROPY)
    members = jax.vmap(lambda key: model.init(key, x[:1]))(jax.random.split(KEY, 3))
    fitness, count = problem.evaluate(problem.init(KEY), KEY, lambda: members, jnp.arange(3))
    for logits, value in zip(np.array(jax.vmap(lambda member: model.apply(member, x))(members)), fitness):
        by_hand = np.log(np.exp(logits).sum(1)) - np.take_along_axis(logits, np.array(labels)[:, None], 1)[:, 0]
        np.testing.assert_allclose(-value, by_hand.mean(), rtol=1e-5)
    state = problem.update(problem.init(KEY), count)
    assert {name: int(total) for name, total in problem.counters(state).items()} == {"examples": 3 * 60}


@pytest.fixture
def promotion(dtype):
    """Factors of bfloat16 parameters have a scale of float32."""
    with jax.numpy_dtype_promotion("strict" if dtype == jnp.float32 else "standard"):
        yield


def low_rank_run(model, dtype, x):
    """(module, parameters, strategy) with members of rank 1."""
    module = model(dtype)
    params = module.init(KEY, x[:1])
    noise = low_rank(plan=lowrank.plan(module.apply, params, x[:2]))
    return module, params, jaxes.open_es(64, 0.1, learning_rate=0.1, noise=noise, shaping=jaxes.shaping.z_score())


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("model", [MLP, CNN])
@pytest.mark.usefixtures("promotion")
def test_low_rank_members_are_what_they_stand_for(model, dtype, stripes):
    x, labels = stripes
    module, params, strategy = low_rank_run(model, dtype, x)
    problem = supervised.problem(module.apply, x, labels, loss=CROSS_ENTROPY, batch_size=32)
    members = strategy.ask(strategy.init(KEY, params))
    assert lowrank.any_low_rank(members)
    evaluate = jax.jit(lambda members: problem.evaluate(problem.init(KEY), KEY, lambda: members, jnp.arange(64))[0])
    fitness, dense = evaluate(members), evaluate(jaxes.materialize(members))
    assert fitness.dtype == jnp.float32
    np.testing.assert_allclose(fitness, dense, rtol=1e-5 if dtype == jnp.float32 else 5e-2, atol=1e-6)


@pytest.mark.parametrize(("model", "dtype"), [(MLP, jnp.float32), (CNN, jnp.bfloat16)])
@pytest.mark.usefixtures("promotion")
def test_low_rank_members_learn(model, dtype, stripes):
    x, labels = stripes
    module, params, strategy = low_rank_run(model, dtype, x)
    problem = supervised.problem(module.apply, x[:40], labels[:40], loss=CROSS_ENTROPY, batch_size=32)
    carry = strategy.init(KEY, params), problem.init(KEY)
    judge = supervised.held_out(module.apply, x[40:], labels[40:])
    (state, _), infos = jax.jit(lambda c: jax.lax.scan(jaxes.generation(strategy, problem), c, length=40))(carry)
    assert infos.mean[-1] > 0.5 * infos.mean[0]
    assert judge(strategy.recommend(state)).mean() >= 0.9 > 0.7 >= judge(params).mean()


def test_held_out_examples_end_a_run(stripes):
    x, labels = stripes
    module = MLP(jnp.float32)
    problem = supervised.problem(module.apply, x[:40], labels[:40], loss=CROSS_ENTROPY)
    judge = supervised.held_out(module.apply, x[40:], labels[40:])
    limits = {"generations": 60, "target": 0.9, "evaluate_every": 10}
    run = jaxes.fit(
        jaxes.open_es(32, 0.1, learning_rate=0.1),
        problem,
        module.init(KEY, x[:1]),
        key=KEY,
        evaluate=judge,
        progress=False,
        **limits,
    )
    *_, last = run
    assert last.stopped == "target" and last.evaluation >= 0.9
    assert last.metrics["examples"] == last.generation * 32 * 40
    assert float(judge(last.params).mean()) == pytest.approx(last.evaluation)


def test_a_loss_without_a_gradient(stripes):
    """The number of mistakes itself, and weights that are signs: the gradient is zero everywhere."""
    x, labels = stripes
    flat = x.reshape(60, -1)
    apply = lambda w, x: x @ jnp.sign(w)
    mistakes = lambda outputs, labels: 1 - supervised.correct(outputs, labels)
    problem = supervised.problem(apply, flat, labels, loss=mistakes)
    w = jax.random.normal(KEY, (16, 3))
    slope = jax.grad(lambda w: mistakes(apply(w, flat), labels).mean())(w)
    assert not np.any(slope)
    strategy = jaxes.open_es(64, 0.3, learning_rate=0.1)
    run = jax.jit(lambda c: jax.lax.scan(jaxes.generation(strategy, problem), c, length=40))
    (state, _), _ = run((strategy.init(KEY, w), problem.init(KEY)))
    judge = supervised.held_out(apply, flat, labels)
    assert judge(strategy.recommend(state)).mean() > 0.9 > judge(w).mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 61}, "batch_size must be at most the number of examples 60, got 61"),
        ({"batch_size": 0}, "batch_size must be an int of 1 or more, got 0"),
        ({"targets": jnp.zeros(59)}, r"one number of examples, got shapes .*\(60, 4, 4, 1\).*\(59,\)"),
        ({"targets": 1.0}, "inputs and targets must be arrays"),
        ({"inputs": {}}, "inputs and targets must be arrays"),
    ],
)
def test_bad_examples(options, message, stripes):
    given = {"inputs": stripes[0], "targets": stripes[1], **options}
    with pytest.raises(ValueError, match=message):
        supervised.problem(lambda w, x: x, loss=CROSS_ENTROPY, **given)


def test_a_loss_of_the_wrong_shape(stripes):
    x, labels = stripes
    problem = supervised.problem(lambda w, x: w * x[:, 0, :3, 0], x, labels, loss=lambda y, t: y)
    with pytest.raises(ValueError, match=r"loss must return one number per example, shape \(60,\), got \(60, 3\)"):
        problem.evaluate(problem.init(KEY), KEY, lambda: jnp.ones(2), jnp.arange(2))


# --- data -----------------------------------------------------------------------------------------------------------


def test_digits():
    pytest.importorskip("sklearn")
    data = supervised.digits(0.2, seed=1)
    assert data.inputs.shape == (1438, 8, 8, 1) and data.inputs.dtype == np.uint8 and data.inputs.max() == 16
    assert data.test_inputs.shape == (359, 8, 8, 1) and data.test_targets.dtype == np.int32
    everything = np.concatenate([data.inputs, data.test_inputs]).reshape(1797, -1)
    from sklearn.datasets import load_digits

    np.testing.assert_array_equal(np.sort(everything, axis=0), np.sort(load_digits().data, axis=0))
    scaled = data.standardize(jnp.asarray(data.inputs))
    assert scaled.dtype == jnp.float32
    np.testing.assert_allclose([scaled.mean(), scaled.std()], [0, 1], atol=1e-5)
    assert not np.array_equal(data.targets, supervised.digits(0.2, seed=2).targets)


@pytest.mark.parametrize("share", [0, 1.0])
def test_nothing_held_out(share):
    with pytest.raises(ValueError, match=r"test_share must be a number in \(0, 1\)"):
        supervised.digits(share)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        ImportError, match=r"scikit-learn is not installed .*pip install .*\(the extra 'supervised' of jaxes\)"
    ):
        supervised.digits()


def test_sine():
    data = supervised.sine(64)
    assert data.inputs.shape == data.test_inputs.shape == (64, 1) and data.inputs.dtype == np.float32
    np.testing.assert_allclose(data.test_targets, np.sin(data.test_inputs))
    assert not np.array_equal(data.inputs, data.test_inputs)


def idx(array, kind, pack=lambda content: content):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return pack(header + array.tobytes())


@pytest.mark.parametrize(("kind", "dtype"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
def test_idx(kind, dtype, tmp_path):
    wanted = np.arange(-6, 6).reshape(2, 3, 2).astype(dtype)
    path = tmp_path / "some"
    for pack in (bytes, gzip.compress):
        path.write_bytes(idx(wanted, kind, pack))
        found = supervised.read_idx(path)
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype.newbyteorder("=")


def test_files_that_are_not_idx(tmp_path):
    path, content = tmp_path / "some", idx(np.zeros((2, 2), "u1"), 8)
    for wrong, message in (
        (b"PK\x03\x04", "not in the IDX format"),
        (content[:-1], "must have 16 bytes"),
        (b"", "not"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=message):
            supervised.read_idx(path)


def test_mnist(tmp_path):
    pictures, labels = np.arange(3 * 28 * 28).reshape(3, 28, 28).astype("u1"), np.array([3, 1, 4], "u1")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(idx(pictures, 8, gzip.compress))
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx(labels, 8))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(pictures[:1], 8))
    with pytest.raises(FileNotFoundError, match="holds no MNIST: t10k-labels-idx1-ubyte"):
        supervised.mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:2], 8))
    with pytest.raises(ValueError, match=r"a label for each, got \(1, 28, 28\) and \(2,\)"):
        supervised.mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:1], 8))
    data = supervised.mnist(tmp_path)
    np.testing.assert_array_equal(data.inputs[..., 0], pictures)
    assert data.targets.tolist() == [3, 1, 4] and data.targets.dtype == np.int32
    assert data.test_inputs.shape == (1, 28, 28, 1) and data.test_targets.tolist() == [3]


# --- modules as vectors ---------------------------------------------------------------------------------------------


def test_parameters_as_a_vector():
    module = nn.Dense(3)
    params = module.init(KEY, jnp.zeros((1, 2)))
    vector, unflatten = jaxes.flatten_params(params)
    wanted = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])
    np.testing.assert_array_equal(vector, wanted)
    jax.tree.map(np.testing.assert_array_equal, unflatten(vector), params)
    many = jax.jit(jax.vmap(unflatten))(jnp.stack([vector, 2 * vector]))
    np.testing.assert_array_equal(many["params"]["kernel"][1], 2 * params["params"]["kernel"])
    slope = jax.grad(lambda v: jnp.sum(module.apply(unflatten(v), jnp.ones((1, 2)))))(vector)
    np.testing.assert_array_equal(slope, np.ones(9))
    with pytest.raises(ValueError, match=r"vector must have shape \(9,\), one number per parameter; got \(8,\)"):
        unflatten(vector[:8])


def test_parameters_of_an_nnx_module_and_of_several_dtypes():
    graph, state = nnx.split(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    vector, unflatten = jaxes.flatten_params(state)
    assert vector.shape == (9,)
    x = jnp.ones((1, 2))
    np.testing.assert_array_equal(nnx.merge(graph, unflatten(vector))(x), nnx.merge(graph, state)(x))
    mixed = {"half": jnp.ones(2, jnp.bfloat16), "single": jnp.ones(1)}
    vector, unflatten = jaxes.flatten_params(mixed)
    assert vector.dtype == jnp.float32
    assert jax.tree.map(lambda leaf: leaf.dtype, unflatten(vector)) == jax.tree.map(lambda leaf: leaf.dtype, mixed)
    with pytest.raises(TypeError, match=r"params\['count'\] must be a float array, got dtype int32"):
        jaxes.flatten_params({"count": jnp.arange(3)})


@pytest.mark.parametrize("name", ["problem", "data", "idx"])
def test_doctests(name):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        assert doctest.testmod(importlib.import_module(f"jaxes.supervised.{name}")).failed == 0
