"""Virtual batch normalization against NumPy, for every member under its own parameters; the reference batch."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from toys import chase, clock

import jaxes
from jaxes import rl
from jaxes.envs import Box, Discrete

ENV = clock()
KEY = jax.random.key(0)
BATCH = jax.random.normal(KEY, (7, 2)) * 3 + 1
SCREEN = ENV._replace(observation=jax.ShapeDtypeStruct((5, 5, 1), jnp.uint8), action=Discrete(3))


def normalized(y, reference, params):
    """Over all axes but the last."""
    axes = tuple(range(reference.ndim - 1))
    std = np.sqrt(reference.var(axes) + 1e-5)
    return (y - reference.mean(axes)) / std * params["scale"] + params["bias"]


def by_hand(params, x):
    """The output of an MLP of two hidden layers at `x`, in float64: the batch goes with it layer by layer."""
    params = jax.tree.map(lambda p: np.array(p, np.float64), params["params"])
    dense = lambda p, x: x @ p["kernel"] + p["bias"]
    y, reference = np.array(x, np.float64), np.array(BATCH, np.float64)
    for i in range(2):
        y, reference = dense(params[f"Dense_{i}"], y), dense(params[f"Dense_{i}"], reference)
        layer = params[f"VirtualBatchNorm_{i}"]
        y, reference = np.tanh(normalized(y, reference, layer)), np.tanh(normalized(reference, reference, layer))
    return dense(params["Dense_2"], y)


def test_each_member_has_statistics_of_its_own():
    policy = rl.mlp(ENV, hidden=(4, 3), head="clip", last_scale=0.3, reference=BATCH)
    params = policy.init(KEY)
    assert set(params) == {"params"}, "the statistics are no parameters"
    noise = lambda x, i: x + 0.3 * jax.random.normal(jax.random.fold_in(KEY, i), x.shape)
    members = [jax.tree.map(lambda x, i=i: noise(x, i), params) for i in range(3)]
    population = jax.tree.map(lambda *x: jnp.stack(x), *members)
    x = jnp.array([0.4, -2.0])
    once = lambda params: policy.act(params, policy.start(params), x)[0]
    got = jax.jit(jax.vmap(once))(population)
    np.testing.assert_allclose(got, [np.clip(by_hand(member, x), -1, 1) for member in members], rtol=1e-4)
    assert len(np.unique(got)) == 3


def test_the_statistics_stay_through_an_episode():
    policy = rl.mlp(ENV, hidden=(4,), reference=BATCH)
    params = policy.init(KEY)
    memory = policy.start(params)
    jax.tree.map(np.testing.assert_array_equal, policy.act(params, memory, BATCH[0])[1], memory)


def test_it_trains():
    env = chase()
    policy = rl.mlp(env, hidden=(4,), reference=rl.reference_batch(env, KEY, size=16, steps=10))
    problem, es = rl.rollout(env, policy, normalize=False, check_every=20), jaxes.open_es(32, 0.2, learning_rate=0.1)
    carry = (es.init(KEY, policy.init(KEY)), problem.init(KEY))
    _, infos = jax.jit(lambda c: jax.lax.scan(jaxes.generation(es, problem), c, length=15))(carry)
    assert infos.mean[-3:].mean() > infos.mean[:3].mean() + 1


def test_pictures_share_statistics_over_places():
    batch = jax.random.randint(KEY, (6, 5, 5, 1), 0, 256).astype(jnp.uint8)
    module = rl.CNN(3, ((2, 3, 2),), (), virtual_batch_norm=True)
    policy = rl.policy(module, SCREEN, head="categorical", reference=batch)
    params = policy.init(KEY)
    statistics = policy.start(params).statistics["VirtualBatchNorm_0"]
    convolved = nn.Conv(2, (3, 3), 2, padding="VALID").apply({"params": params["params"]["Conv_0"]}, batch / 255)
    np.testing.assert_allclose(statistics["mean"], convolved.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(statistics["variance"], convolved.var((0, 1, 2)), rtol=1e-4)


class Both(nn.Module):
    @nn.compact
    def __call__(self, carry, x):
        return nn.GRUCell(1)(carry, rl.VirtualBatchNorm()(x))

    @nn.nowrap
    def initialize_carry(self, key, shape):
        return jnp.zeros(1)


def test_beside_a_carry():
    policy = rl.policy(Both(), ENV, reference=BATCH)
    params = policy.init(KEY)
    first = policy.start(params)
    _, second = policy.act(params, first, BATCH[0])
    np.testing.assert_allclose(first.statistics["VirtualBatchNorm_0"]["mean"], BATCH.mean(0), rtol=1e-5)
    assert second.carry != first.carry


@pytest.mark.parametrize(
    ("reference", "got"), [(jnp.ones((4, 3)), r"\(4, 3\)"), (jnp.ones(2), r"\(2,\)"), (jnp.ones(()), r"\(\)")]
)
def test_a_reference_of_another_shape(reference, got):
    with pytest.raises(ValueError, match=rf"reference must be observations of tests/clock, .*\(2,\); got {got}"):
        rl.mlp(ENV, reference=reference)


def test_a_reference_and_its_layers_go_together():
    module = rl.MLP((3, 1), virtual_batch_norm=True)
    with pytest.raises(ValueError, match="module has virtual batch normalization: give reference"):
        rl.policy(module, ENV).init(KEY)
    with pytest.raises(ValueError, match="reference is for modules with VirtualBatchNorm; this module has none"):
        rl.policy(rl.MLP((3, 1)), ENV, reference=BATCH).init(KEY)
    with pytest.raises(ValueError, match="reference is for linen modules"):
        rl.policy(nnx.Linear(2, 1, rngs=nnx.Rngs(0)), ENV, reference=BATCH)


# --- the reference batch -------------------------------------------------------------------------------------------


def test_a_reference_batch_is_of_living_episodes():
    env = clock(life=(3, 3), poison=True)
    batch = np.array(rl.reference_batch(env, KEY, size=600, steps=10))
    assert batch.shape == (600, 2) and np.isfinite(batch).all(), "what is seen at the end is not acted upon"
    counts = np.bincount(batch[:, 0].astype(int))
    np.testing.assert_allclose(counts / 600, 1 / 3, atol=0.06)
    assert len(np.unique(batch[:, 1])) == 600, "every one is of another episode"
    np.testing.assert_array_equal(batch, rl.reference_batch(env, KEY, size=600, steps=10))
    early = rl.reference_batch(env, KEY, size=20, steps=1)
    assert not early[:, 0].any()


def test_a_reference_batch_of_dicts_and_choices():
    env = clock(nested=True)
    choices = env._replace(action=Discrete(3), step=lambda s, a: env.step(s, a[None].astype(jnp.float32)))
    batch = rl.reference_batch(choices, KEY, size=4, steps=3)
    assert {name: x.shape for name, x in batch.items()} == {"time": (4, 1), "start": (4,)}


def test_random_actions_need_limits():
    env = ENV._replace(action=Box(np.float32([-np.inf]), np.float32([1])))
    with pytest.raises(ValueError, match="env must have actions with finite limits"):
        rl.reference_batch(env, KEY)
    with pytest.raises(ValueError, match="size must be an int of 1 or more, got 0"):
        rl.reference_batch(ENV, KEY, size=0)
