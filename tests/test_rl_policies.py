"""Policies: ready-made networks, a user's own modules, and clear errors for those that do not fit."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from toys import clock, played

import jaxes
from jaxes import rl
from jaxes.envs import Discrete, MultiDiscrete
from jaxes.rl.policies import networks

ENV = clock()
DICT = clock(nested=True)
X = jnp.array([0.3, -2.0])
KEY = jax.random.key(0)


def act(policy, params, observation):
    return policy.act(params, policy.start(params), observation)[0]


def test_mlp_against_numpy():
    policy = rl.mlp(ENV, hidden=(5, 4))
    params = policy.init(KEY)
    layers = [params["params"][f"Dense_{i}"] for i in range(3)]
    assert [x["kernel"].shape for x in layers] == [(2, 5), (5, 4), (4, 1)]
    x = observation = np.float32([0.3, -2])
    for layer in layers:
        x = np.tanh(x @ layer["kernel"] + layer["bias"])  # the last tanh is the head
    np.testing.assert_allclose(act(policy, params, jnp.array(observation)), x, rtol=1e-5)
    assert policy.start(params) == ()


@pytest.mark.parametrize("activation", ["relu", "elu", "silu"])
def test_activations(activation):
    policy = rl.mlp(ENV, hidden=(3,), head="clip", activation=activation)
    params = policy.init(KEY)
    first, last = params["params"]["Dense_0"], params["params"]["Dense_1"]
    x = jnp.array([0.3, -2.0])
    hidden = getattr(jax.nn, activation)(x @ first["kernel"])
    np.testing.assert_allclose(act(policy, params, x), jnp.clip(hidden @ last["kernel"], -1, 1), rtol=1e-5, atol=1e-6)


def test_linear_policy_and_small_last_layer():
    params = rl.mlp(ENV, hidden=()).init(KEY)
    assert list(params["params"]) == ["Dense_0"]
    small = rl.mlp(ENV, hidden=(), last_scale=0.01).init(KEY)
    np.testing.assert_allclose(
        small["params"]["Dense_0"]["kernel"], 0.01 * params["params"]["Dense_0"]["kernel"], rtol=1e-5
    )


@pytest.mark.parametrize("head, outputs", [("bins:10", 10), ("clip", 1)])
def test_the_head_sets_the_output_size(head, outputs):
    params = rl.mlp(ENV, hidden=(), head=head).init(KEY)
    assert params["params"]["Dense_0"]["kernel"].shape == (2, outputs)


def test_choices():
    env = ENV._replace(action=Discrete(3))
    policy = rl.mlp(env, hidden=(4,), head="categorical")
    assert act(policy, policy.init(KEY), jnp.ones(2)).dtype == jnp.int32


@pytest.mark.parametrize("make", [rl.mlp, rl.gru, rl.lstm, lambda env, **o: rl.policy(nn.Dense(o.pop("size")), env)])
@pytest.mark.parametrize(("action", "size"), [(Discrete(3), 3), (MultiDiscrete((2, 3)), 5)])
def test_choices_have_a_head_of_their_own_by_default(make, action, size):
    env = ENV._replace(action=action)
    own = {"size": size} if make not in (rl.mlp, rl.gru, rl.lstm) else {"hidden": (4,)}
    chosen = make(env, **own)
    params = chosen.init(KEY)
    first = act(chosen, params, jnp.ones(2))
    assert first.dtype == jnp.int32 and first.shape == (() if size == 3 else (2,))
    if make is rl.mlp:
        assert first.tolist() == act(make(env, head="categorical", **own), params, jnp.ones(2)).tolist()


def test_a_module_of_another_size_is_told_the_head_that_was_taken():
    env = ENV._replace(action=Discrete(3))
    with pytest.raises(ValueError, match=r"module must return shape \(3,\) for head 'categorical'"):
        rl.policy(nn.Dense(2), env).init(KEY)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"activation": "gelu"}, "activation must be 'tanh', 'relu', 'elu' or 'silu', got 'gelu'"),
        ({"hidden": (8, 0)}, r"hidden must be positive ints, got \(8, 0\)"),
        ({"hidden": (8.0,)}, "hidden must be positive ints"),
        ({"head": "categorical"}, "needs discrete actions"),
        ({"initialization": "norm"}, "initialization must be 'lecun' or 'normc', got 'norm'"),
        ({"action_noise": -1.0}, "action_noise must be a number of 0 or more, got -1.0"),
    ],
)
@pytest.mark.parametrize("make", [rl.mlp, rl.gru, rl.lstm])
def test_bad_options(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(ENV, **options)


def test_normc():
    """OpenAI's code: columns of length 1, of length 0.01 in the last layer, biases zero."""
    params = rl.mlp(ENV, hidden=(5, 4), initialization="normc").init(KEY)["params"]
    for i, length in enumerate([1, 1, 0.01]):
        layer = params[f"Dense_{i}"]
        np.testing.assert_allclose(np.linalg.norm(layer["kernel"], axis=0), length, rtol=1e-5)
        assert not layer["bias"].any()
    last = rl.mlp(ENV, hidden=(), initialization="normc", last_scale=0.5).init(KEY)["params"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(np.linalg.norm(last, axis=0), 0.5, rtol=1e-5)
    kernel = networks.normc(2.0)(KEY, (3, 3, 2, 5))
    np.testing.assert_allclose(np.sqrt(np.sum(np.square(kernel), axis=(0, 1, 2))), 2, rtol=1e-5)


def test_action_noise_is_for_training():
    quiet, noisy = rl.mlp(ENV, hidden=()), rl.mlp(ENV, hidden=(), action_noise=0.01)
    params = quiet.init(KEY)
    still = act(quiet, params, X)
    np.testing.assert_array_equal(act(noisy, params, X), still)
    assert not np.array_equal(noisy.act(params, (), X, KEY)[0], still)
    assert noisy.random and not quiet.random


def test_mlp_of_dict_observations_is_refused():
    with pytest.raises(ValueError, match="vector observations"):
        rl.mlp(DICT)


class TwoInputs(nn.Module):
    """A user's own module."""

    outputs: int = 1

    @nn.compact
    def __call__(self, observation):
        x = jnp.concatenate([observation["time"] * 0.1, observation["start"][None]])
        return nn.Dense(self.outputs)(nn.LayerNorm()(nn.Dense(4)(x)))


def test_own_module_with_dict_observations_learns():
    policy = rl.policy(TwoInputs(), DICT, head="clip")
    es = jaxes.open_es(32, 0.2, learning_rate=0.1)
    problem = rl.rollout(DICT, policy, max_steps=10, seeds="generation")
    carry = (es.init(KEY, policy.init(jax.random.key(2))), problem.init(KEY))
    (_, state), infos = jax.jit(lambda c: jax.lax.scan(jaxes.generation(es, problem), c, length=30))(carry)
    assert set(state.normalizer.mean) == {"time", "start"}
    mean_action = lambda info: float(jnp.mean(info))
    assert mean_action(infos.mean[-5:]) > mean_action(infos.mean[:5]) + 0.5


@pytest.mark.parametrize("outputs", [2, 10])
def test_output_that_does_not_fit_the_head(outputs):
    policy = rl.policy(TwoInputs(outputs), DICT, head="clip")
    with pytest.raises(
        ValueError, match=rf"must return shape \(1,\) for head 'clip' on tests/clock, got \({outputs},\)"
    ):
        policy.init(KEY)


class Odd(nn.Module):
    kind: str

    @nn.compact
    def __call__(self, x):
        if self.kind == "batch_stats":
            return nn.BatchNorm(use_running_average=True)(nn.Dense(1)(x))
        y = nn.Dense(1)(x)
        return {"pair": (y, y), "scalar": y[0]}[self.kind]


def test_variables_that_are_no_parameters():
    with pytest.raises(ValueError, match="parameters only, got the collections batch_stats too"):
        rl.policy(Odd("batch_stats"), ENV).init(KEY)


@pytest.mark.parametrize("kind", ["pair", "scalar"])
def test_odd_outputs(kind):
    with pytest.raises(ValueError, match="module must return shape"):
        rl.policy(Odd(kind), ENV).init(KEY)


def test_a_rollout_has_noise_in_the_actions_and_evaluation_has_none():
    policies = [rl.mlp(ENV, hidden=(), action_noise=std) for std in (0.0, 0.1)]
    params = policies[0].init(KEY)
    members, ids = jax.tree.map(lambda x: jnp.stack([x] * 4), params), jnp.arange(4)

    def both(policy):
        problem = rl.rollout(ENV, policy, normalize=False)
        fitness, _ = jax.jit(lambda m: problem.evaluate(problem.init(KEY), KEY, lambda: m, ids))(members)
        return np.array(fitness), np.array(jax.jit(rl.evaluation(ENV, policy))(params, None, KEY).returns)

    (quiet, score), (noisy, noisy_score) = map(both, policies)
    np.testing.assert_array_equal(score, noisy_score)
    assert (quiet != noisy).all()
    assert noisy[0] == noisy[1] and noisy[2] == noisy[3], "the members of a pair have the same noise"


# --- nnx -----------------------------------------------------------------------------------------------------------


class Plain(nnx.Module):
    """A user's own nnx module, with layers in a list."""

    def __init__(self, rngs, more=None):
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)])
        self.more = more

    def __call__(self, x):
        return self.layers[1](jnp.tanh(self.layers[0](x)))


def test_nnx_modules_against_numpy():
    module = Plain(nnx.Rngs(3))
    policy = rl.policy(module, ENV, head="clip")
    params = policy.init(KEY)
    first, last = params["layers"][0], params["layers"][1]
    assert first["kernel"].shape == (2, 3) and type(params) is dict
    assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(params))
    want = np.tanh(np.array(X) @ first["kernel"] + first["bias"]) @ last["kernel"] + last["bias"]
    members = jax.tree.map(lambda x: jnp.stack([x, 0 * x]), params)
    got = jax.jit(jax.vmap(lambda params: act(policy, params, X)))(members)
    np.testing.assert_allclose(got, np.clip([want, [0]], -1, 1), rtol=1e-5)
    np.testing.assert_array_equal(params["layers"][0]["kernel"], module.layers[0].kernel[...])


def test_a_function_of_rngs_draws_nnx_parameters():
    policy = rl.policy(lambda rngs: Plain(rngs), ENV)
    kernels = [np.array(jax.jit(policy.init)(jax.random.key(i))["layers"][0]["kernel"]) for i in (0, 0, 1)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_nnx_variables_that_are_no_parameters():
    rngs = nnx.Rngs(0)
    with pytest.raises(ValueError, match="of the kind Param only, got BatchStat too"):
        rl.policy(Plain(rngs, nnx.BatchNorm(3, rngs=rngs)), ENV)
    with pytest.raises(ValueError, match="Param only, got RngCount, RngKey too"):
        rl.policy(Plain(rngs, nnx.Dropout(0.5, rngs=rngs)), ENV)


@pytest.mark.parametrize("module", ["mlp", nn.Dense, lambda rngs: 3])
def test_what_is_no_module(module):
    with pytest.raises(TypeError, match="module must"):
        rl.policy(module, ENV)


# --- recurrent -----------------------------------------------------------------------------------------------------


class Learned(nn.Module):
    """Its carry begins as a parameter and adds up the observations."""

    def setup(self):
        self.first, self.out = self.param("first", nn.initializers.ones, (2,)), nn.Dense(1)

    def initialize_carry(self, key, shape):
        assert shape == (2,)
        return self.first

    def __call__(self, carry, x):
        return carry + x, self.out(carry + x)


RECURRENT = {
    "gru": lambda: rl.gru(ENV, hidden=(3, 2)),
    "lstm": lambda: rl.lstm(ENV, hidden=(3,)),
    "linen cell": lambda: rl.policy(nn.GRUCell(features=1), ENV),
    "nnx cell": lambda: rl.policy(nnx.GRUCell(2, 1, rngs=nnx.Rngs(0)), ENV),
    "learned start": lambda: rl.policy(Learned(), ENV),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_policies_remember_one_episode(name):
    """In a rollout as step by step, every episode from the start, also in the memory of another one."""
    policy, env = RECURRENT[name](), clock(life=(4, 7))
    keys = jax.random.split(KEY, (2, 2))
    params = policy.init(KEY)
    members = jax.tree.map(lambda x: jnp.stack([x, 0.5 * x + 0.1]), params)
    out = jax.jit(lambda members: rl.play(env, policy, lambda: members, keys, None, 40))(members)
    for i in range(2):
        member = jax.tree.map(lambda x, i=i: x[i], members)
        want = [played(env, policy, member, key, 40)[0] for key in keys[i]]
        np.testing.assert_allclose(out.returns[i], want, rtol=1e-5)
    acts, memory = [], policy.start(params)
    for _ in range(2):
        action, memory = policy.act(params, memory, X)
        acts.append(float(action[0]))
    assert acts[0] != acts[1]


def test_gru_against_numpy():
    """Cho et al. 2014 as Flax writes it: dense, cell, dense."""
    policy = rl.gru(ENV, hidden=(3,), head="clip")
    params = policy.init(KEY)
    dense, cell, last = (params["params"][name] for name in ("Dense_0", "GRUCell_0", "Dense_1"))
    layer = lambda p, x: x @ p["kernel"] + p.get("bias", 0)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    memory, h = policy.start(params), np.zeros(3, np.float32)
    for x in np.float32([[0.3, -2], [1, 0.5], [-1, 2]]):
        action, memory = policy.act(params, memory, jnp.array(x))
        y = np.tanh(layer(dense, x))
        reset = sigmoid(layer(cell["ir"], y) + layer(cell["hr"], h))
        keep = sigmoid(layer(cell["iz"], y) + layer(cell["hz"], h))
        new = np.tanh(layer(cell["in"], y) + reset * layer(cell["hn"], h))
        h = (1 - keep) * new + keep * h
        np.testing.assert_allclose(action, np.clip(layer(last, h), -1, 1), rtol=1e-5)


class Growing(nn.Module):
    kind: str

    @nn.compact
    def __call__(self, carry, x):
        y = nn.Dense(1)(x)
        after = {"shape": jnp.concatenate([carry, y]), "dtype": carry.astype(jnp.bfloat16)}
        return y if self.kind == "alone" else (after[self.kind], y)

    @nn.nowrap
    def initialize_carry(self, key, shape):
        return jnp.zeros(3)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape", r"carry of the shapes and dtypes .* given float32\[3\], returned float32\[4\]"),
        ("dtype", r"given float32\[3\], returned bfloat16\[3\]"),
        ("alone", r"must return \(carry, output\); got a"),
    ],
)
def test_a_carry_that_changes(kind, message):
    with pytest.raises(ValueError, match=message):
        rl.policy(Growing(kind), ENV).init(KEY)


def test_cells_are_needed():
    with pytest.raises(ValueError, match="hidden must have one layer of cells or more"):
        rl.gru(ENV, hidden=())


# --- pictures ------------------------------------------------------------------------------------------------------


def screen(side, dtype=jnp.uint8, channels=4):
    return ENV._replace(observation=jax.ShapeDtypeStruct((side, side, channels), dtype), action=Discrete(6))


@pytest.mark.parametrize(("kind", "kernels"), [("nature", (8, 4, 3)), ("a3c", (8, 4))])
def test_cnn_has_the_sizes_of_the_paper(kind, kernels):
    params = jax.eval_shape(rl.cnn(screen(84), kind, "categorical").init, KEY)["params"]
    convolutions = [params[f"Conv_{i}"]["kernel"].shape for i in range(len(kernels))]
    features = {"nature": (4, 32, 64, 64), "a3c": (4, 16, 32)}[kind]
    assert convolutions == [(k, k, *features[i : i + 2]) for i, k in enumerate(kernels)]
    inner = {"nature": (7 * 7 * 64, 512), "a3c": (9 * 9 * 32, 256)}[kind]
    assert [params[f"Dense_{i}"]["kernel"].shape for i in range(2)] == [inner, (inner[1], 6)]


def test_cnn_against_numpy():
    env = screen(5, channels=1)
    module = rl.CNN(outputs=6, convolutions=((2, 3, 2),), hidden=(3,))
    policy = rl.policy(module, env, head="categorical")
    params = policy.init(KEY)
    conv, dense, last = (params["params"][name] for name in ("Conv_0", "Dense_0", "Dense_1"))
    x = np.random.default_rng(0).integers(0, 256, (5, 5, 1)).astype(np.uint8)
    seen, y = x / 255, np.zeros((2, 2, 2))
    for i in range(2):
        for j in range(2):
            part = seen[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            y[i, j] = np.maximum(np.tensordot(part, conv["kernel"], 3) + conv["bias"], 0)
    y = np.maximum(y.ravel() @ dense["kernel"] + dense["bias"], 0)
    got = module.apply(params, jnp.array(x))
    np.testing.assert_allclose(got, y @ last["kernel"] + last["bias"], rtol=1e-4, atol=1e-6)
    assert act(policy, params, jnp.array(x)) == np.argmax(got)
    np.testing.assert_allclose(module.apply(params, jnp.array(x / 255, jnp.float32)), got, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("env", "kind", "message"),
    [
        (screen(84), "natur", "unknown kind of cnn 'natur'; did you mean nature"),
        (screen(35), "nature", "cnn 'nature' needs pictures of 36 x 36 or more; those of tests/clock have the shape"),
        (screen(19), "a3c", "20 x 20 or more"),
        (ENV, "a3c", r"cnn needs observations of shape \(height, width, channels\), got"),
    ],
)
def test_pictures_that_do_not_fit(env, kind, message):
    with pytest.raises(ValueError, match=message):
        rl.cnn(env, kind, "categorical")
