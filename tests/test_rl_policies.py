"""Policies: the MLP, a user's own modules, and clear errors for those that do not fit."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import clock

import jaxes
from jaxes import rl
from jaxes.envs import Discrete

ENV = clock()
DICT = clock(nested=True)
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


@pytest.mark.parametrize(
    "options, message",
    [
        ({"activation": "gelu"}, "activation must be one of tanh, relu, elu, silu; got 'gelu'"),
        ({"hidden": (8, 0)}, r"hidden must be positive ints, got \(8, 0\)"),
        ({"hidden": (8.0,)}, "hidden must be positive ints"),
        ({"head": "categorical"}, "needs discrete actions"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        rl.mlp(ENV, **options)


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
