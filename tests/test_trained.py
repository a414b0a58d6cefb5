"""Trained policies that are called by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from flax import serialization

import jaxes
from jaxes import rl
from jaxes.envs import Discrete, MultiDiscrete
from jaxes.training.checkpoint import Checkpoints
from jaxes.training.trained import Trained, save

KEY = jax.random.key(0)
ENV = toys.chase()


def trained(env, make=rl.mlp, normalizer=True, **options):
    policy = make(env, (4,), **options)
    moments = rl.normalizer.init(env.observation)._replace(count=jnp.float32(9), squares=jnp.full(2, 36.0))
    return Trained(env, policy, policy.init(KEY), moments if normalizer else None)


@pytest.mark.parametrize("env", [ENV, ENV._replace(action=Discrete(3)), ENV._replace(action=MultiDiscrete((2, 3)))])
def test_several_observations_give_several_actions(env):
    policy = trained(env, head="tanh" if env is ENV else "categorical")
    several = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    one_by_one = np.stack([policy(x) for x in several])
    together = policy(several)
    assert together.shape == one_by_one.shape and together.dtype == one_by_one.dtype
    np.testing.assert_allclose(together, one_by_one, rtol=1e-6)
    assert policy(several[:1]).shape == one_by_one[:1].shape
    assert len(np.unique(together, axis=0)) > 1


def test_a_recurrent_policy_remembers_each_of_several_episodes():
    policy = trained(ENV, rl.gru)
    seen = np.random.default_rng(0).normal(size=(5, 3, 2))
    together = np.stack([policy(x) for x in seen])
    for i in range(3):
        policy.reset()
        np.testing.assert_allclose([policy(x) for x in seen[:, i]], together[:, i], rtol=1e-5)
    with pytest.raises(
        ValueError, match=r"must be of one episode, which this policy remembers, got that of 3 episodes"
    ):
        policy(seen[0])
    policy.reset()
    policy(seen[0])
    with pytest.raises(ValueError, match=r"must be of 3 episodes, which this policy remembers, got that of 2 episodes"):
        policy(seen[0, :2])


def test_lists_and_other_dtypes_are_taken():
    policy = trained(ENV)
    want = policy(np.float32([1, 2]))
    for same in ([1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1.0, 2.0]), jnp.array([1, 2]), [np.float64(1), 2]):
        np.testing.assert_array_equal(policy(same), want)
    assert np.isfinite(policy(np.array([1e300, 0.0]))).all()


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (np.zeros(3), r"float64\[3\]"),
        (np.zeros((2, 3, 2), np.float32), r"float32\[2, 3, 2\]"),
        (np.zeros((2, 1), np.float32), r"float32\[2, 1\]"),
        (1.0, r"float64\[\]"),
        ("ab", r"<U2\[\]"),
        (None, "NoneType|object"),
        ([[1, 2], [3]], r"\[\['int', 'int'\], \['int'\]\]"),
    ],
)
def test_another_shape_is_refused_in_a_sentence(given, got):
    wanted = r"observation must be one of toys/chase, float32\[2\], or several with an axis in front; got "
    with pytest.raises(ValueError, match=wanted + f"({got})"):
        trained(ENV)(given)


def test_trees_of_observations():
    env = toys.clock(nested=True)
    policy = Trained(env, toys.linear(), jnp.ones(2), None)
    one = {"time": np.zeros(1), "start": np.float32(0.5)}
    several = {"time": np.zeros((3, 1)), "start": np.full(3, 0.5)}
    np.testing.assert_allclose(policy(several), np.tile(policy(one), (3, 1)))
    for wrong in ({"time": np.zeros((3, 1)), "start": np.float32(0)}, {"time": np.zeros(1)}, np.zeros(2)):
        with pytest.raises(
            ValueError, match=r"observation must be one of tests/clock, {'start': 'float32\[\]', 'time'"
        ):
            policy(wrong)


def test_pictures_are_no_fractions():
    env = ENV._replace(observation=jax.ShapeDtypeStruct((2,), jnp.uint8))
    first = rl.Policy(lambda key: (), lambda params, memory, seen, key=None: (seen[:1].astype(jnp.float32), memory))
    policy = Trained(env, first, (), None)
    assert policy([7, 2]).tolist() == [7.0]
    with pytest.raises(ValueError, match=r"uint8\[2\], or several .*; got float64\[2\]"):
        policy([0.5, 1.0])


@pytest.mark.parametrize(
    ("env", "head", "text"),
    [
        (ENV, "tanh", "Trained(toys/chase: from float32[2] to float32[1] in [-1, 1])"),
        (ENV._replace(action=Discrete(3)), "categorical", "Trained(toys/chase: from float32[2] to int32[] below 3)"),
        (
            ENV._replace(action=MultiDiscrete((2, 3))),
            "categorical",
            "Trained(toys/chase: from float32[2] to int32[2] below [2, 3])",
        ),
    ],
)
def test_it_tells_what_it_reads_and_gives(env, head, text):
    assert repr(trained(env, head=head)) == text


@pytest.mark.parametrize("normalize", [True, False])
def test_an_evaluation_is_what_fit_wants(normalize):
    policy = rl.mlp(ENV, (4,))
    problem = rl.rollout(ENV, policy, normalize=normalize)
    evaluate = rl.evaluation(ENV, policy, episodes=5)
    options = {"key": KEY, "generations": 3, "evaluate": evaluate, "evaluate_every": 1, "progress": False}
    reports = list(jaxes.fit(jaxes.open_es(8, 0.1), problem, policy.init(KEY), **options))
    last = reports[-1]
    want = evaluate(
        last.params, last.problem_state.normalizer, jaxes.support.keys.stream(KEY, jaxes.support.keys.Stream.EVALUATION)
    )
    assert last.evaluation == pytest.approx(float(want.returns.mean()), rel=1e-5)
    with pytest.raises(TypeError, match=r"normalizer must be a jaxes.rl.Normalizer, None for raw .*, got dict"):
        evaluate(last.params, {}, KEY)


def test_it_may_be_called_inside_jit_and_vmap():
    policy = trained(ENV)
    several = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    want = policy(several)
    np.testing.assert_allclose(jax.jit(policy)(several), want, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(policy)(several[0]), want[0], rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(policy)(several), want, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(policy))(several), want, rtol=1e-5)
    np.testing.assert_allclose(jax.lax.map(policy, several), want, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lambda: policy(several))(), want, rtol=1e-5)
    assert jax.jacobian(policy)(several[0]).shape == (*want[0].shape, 2)
    assert isinstance(policy(several), np.ndarray)
    np.testing.assert_array_equal(policy(several), want)
    with pytest.raises(ValueError, match=r"got float32\[3\]"):
        jax.jit(policy)(np.zeros(3, np.float32))


@pytest.mark.parametrize("around", [jax.jit, jax.vmap])
def test_one_that_remembers_is_refused_there_and_remembers_as_before(around):
    policy, other = trained(ENV, rl.gru), trained(ENV, rl.gru)
    seen = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    with pytest.raises(TypeError, match=r"remembers its episode, which cannot be inside jax\.jit"):
        around(policy)(seen[0])
    policy(seen[0])
    with pytest.raises(TypeError, match=r"remembers its episode, which cannot be inside jax\.jit"):
        jax.jit(policy)(seen[1])
    other(seen[0])
    np.testing.assert_array_equal(policy(seen[2]), other(seen[2]))


# --- folders of other versions ---------------------------------------------------------------------------------------


def folder(path, change):
    """A run's folder whose policy.msgpack was changed by `change(what it holds)`."""
    policy = trained(ENV)
    (path / "config.json").write_text("{}")
    save(path, policy.params, policy.normalizer)
    held = serialization.msgpack_restore((path / "policy.msgpack").read_bytes())
    changed = change(held)
    (path / "policy.msgpack").write_bytes(serialization.to_bytes(held if changed is None else changed))
    return policy


def test_a_policy_of_before_there_was_a_reach_acts_as_ever(tmp_path):
    want = folder(tmp_path, lambda held: held["normalizer"].pop("reach") and None)
    got = jaxes.load(tmp_path, env=ENV, policy=want.policy)
    seen = np.float32([[1, 2], [30, -4]])
    np.testing.assert_array_equal(got(seen), want(seen))
    assert got.normalizer.reach == rl.normalizer.REACH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda held: held["normalizer"].pop("limit") and None,
            r"another version of jaxes: normalizer\.limit is nothing",
        ),
        (lambda held: held["normalizer"].update(odd=np.ones(3)), r"another version of jaxes: normalizer\.odd is \[3\]"),
        (lambda held: held.pop("normalizer") and None, r"policy\.msgpack must hold params and a normalizer"),
        (lambda held: np.ones(3), r"policy\.msgpack must hold params and a normalizer"),
    ],
    ids=["less", "more", "none", "no policy"],
)
def test_a_policy_of_another_version_is_refused_in_a_sentence(change, message, tmp_path):
    policy = folder(tmp_path, change).policy
    with pytest.raises(ValueError, match=message):
        jaxes.load(tmp_path, env=ENV, policy=policy)


def test_a_damaged_policy_is_refused_in_a_sentence(tmp_path):
    policy = folder(tmp_path, lambda held: None).policy
    (tmp_path / "policy.msgpack").write_bytes((tmp_path / "policy.msgpack").read_bytes()[:50])
    with pytest.raises(ValueError, match=r"policy\.msgpack is damaged"):
        jaxes.load(tmp_path, env=ENV, policy=policy)


def test_a_checkpoint_of_another_version_is_refused_in_a_sentence(tmp_path):
    new = rl.normalizer.init(ENV.observation)
    old = {name: value for name, value in new._asdict().items() if name != "reach"}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, {"normalizer": old})
    wanted = (
        r"checkpoint 3 was made by another version of jaxes, or with other settings: \['normalizer'\]\['reach'\] is"
    )
    with pytest.raises(ValueError, match=wanted):
        checkpoints.load({"normalizer": new._asdict()})
    checkpoints.close()


def test_an_evaluation_has_a_key_by_default():
    policy = trained(ENV)
    assert (
        policy.evaluate(episodes=3).returns.tolist() == policy.evaluate(jax.random.key(1_000_003), 3).returns.tolist()
    )
