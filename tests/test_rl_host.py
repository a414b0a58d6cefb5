"""Rollouts in worker processes: the same numbers however many there are, and what happens when one is lost."""

import functools
import os
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import jaxes
from jaxes import rl
from jaxes.envs import Box
from jaxes.envs.host import host_env
from jaxes.rl import normalizer as norm
from jaxes.rl.host import engine
from jaxes.rl.host.pool import Pool
from jaxes.support import keys

KEY = jax.random.key(0)


class Walk:
    """A point on a line is paid for its distance from 0 and falls off where that exceeds 3; tests break it."""

    def __init__(self, trouble: str, count: int):
        self.trouble, self.observations = trouble, np.zeros((count, 2))

    def reset(self, lane, seed):
        self.observations[lane] = np.random.default_rng(seed).uniform(-1, 1), 0.0

    def step(self, lanes, actions):
        if self.trouble and os.path.exists(self.trouble):
            os.remove(self.trouble)  # the first process that comes by
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble == "raise":
            raise ZeroDivisionError("the walk is broken")
        if self.trouble == "hang":
            time.sleep(600)
        if self.trouble == "slow":
            time.sleep(0.3)
        self.observations[lanes, 0] += actions[:, 0]
        self.observations[lanes, 1] += 1
        x = self.observations[lanes, 0]
        rewards = np.abs(x)
        if self.trouble == "nan":
            rewards = np.where(x > 2, np.nan, rewards)
        return rewards, np.abs(x) > 3


def walk(trouble: str = "", limit: int = 20):
    observation = jax.ShapeDtypeStruct((2,), np.float32)
    action = Box(np.float32([-1.0]), np.float32([1.0]))
    return host_env(f"walk {trouble}", functools.partial(Walk, trouble), observation, action, limit)


STRATEGY = jaxes.open_es(16, 0.5, learning_rate=0.1)


def generations(env, count=2, **options):
    """Fitness and problem state after some generations."""
    policy = rl.mlp(env, (4,))
    problem = rl.rollout(env, policy, **options)
    carry = STRATEGY.init(KEY, policy.init(jax.random.key(1))), problem.init(KEY)
    step = jaxes.generation(STRATEGY, problem)
    infos = []
    for _ in range(count):
        carry, info = step(carry)
        infos.append(info)
    return infos, carry


def assert_same(a, b):
    bits = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(bits(x), bits(y)), a, b)


@pytest.fixture(scope="module")
def here():
    return generations(walk(), workers=0, lanes=16)


def test_any_number_of_processes_gives_the_same_bits(here):
    assert_same(here, generations(walk(), workers=2, lanes=16))


def test_fitness_is_the_return_of_the_members_episode():
    """Against the walk stepped by hand."""
    env, limit = walk(), 20
    policy = rl.mlp(env, (4,))
    state = STRATEGY.init(KEY, policy.init(jax.random.key(1)))
    members = STRATEGY.ask(state)
    key, returns = keys.of_problem(state), []
    act = jax.jit(lambda member, observation: policy.act(member, (), observation)[0])
    for i in range(16):
        own = jax.random.fold_in(jax.random.fold_in(key, i // 2), 0)
        lanes = Walk("", 1)
        lanes.reset(0, int(jax.random.bits(own, (), jnp.uint32)))
        member, total = jax.tree.map(lambda x, i=i: x[i], members), 0.0
        for _ in range(limit):
            action = act(member, jnp.asarray(lanes.observations[0], jnp.float32))
            reward, done = lanes.step(np.array([0]), np.asarray(action)[None])
            total += reward[0]
            if done[0]:
                break
        returns.append(total)
    info = generations(env, 1, workers=0, normalize=False)[0][0]
    np.testing.assert_allclose(info.best, max(returns), rtol=1e-5)
    np.testing.assert_allclose(info.mean, np.mean(returns), rtol=1e-5)


def test_lanes_take_the_next_member_when_an_episode_ends(here):
    few = generations(walk(), workers=0, lanes=3)
    np.testing.assert_allclose(few[0][0].mean, here[0][0].mean, rtol=1e-4)
    assert int(few[1][1].episodes) == 32


def test_the_normalizer_has_seen_every_observation(here):
    _, (_, state) = here
    assert int(state.normalizer.count) == int(state.steps)
    times = state.normalizer.mean[1]  # the second coordinate counts an episode's steps from 0 on
    assert 2 < float(times) < 10


class Spiky(Walk):
    """Every fifth observation has a number of the given size; it tells nothing else."""

    def __init__(self, size: float, count: int):
        super().__init__("", count)
        self.size, self.observations = size, np.zeros((count, 3))

    def reset(self, lane, seed):
        self.observations[lane] = np.random.default_rng(seed).uniform(-1, 1), 0.0, 0.0

    def step(self, lanes, actions):
        rewards, done = super().step(lanes, actions)
        self.observations[lanes, 2] = np.where(self.observations[lanes, 1] % 5 == 4, self.size, 0)
        return rewards, done


def spiky(size):
    lanes, shape = functools.partial(Spiky, size), jax.ShapeDtypeStruct((3,), np.float32)
    return walk()._replace(name=f"spiky {size}", lanes=lanes, observation=shape)


def test_large_observations_that_come_again_and_again_are_taken_in_the_end():
    _, (_, early) = generations(spiky(1e5), 2, workers=0)
    _, (_, state) = generations(spiky(1e5), 6, workers=0)
    assert int(early.invalid_observations) > 0.1 * int(early.steps)
    assert int(state.invalid_observations) == int(early.invalid_observations)
    taken, share = float(state.normalizer.count), float(state.normalizer.mean[2]) / 1e5
    assert 0.05 < share < 0.2 and taken + int(state.invalid_observations) == int(state.steps)
    deviation = float(norm.deviation(state.normalizer)[2])
    np.testing.assert_allclose(deviation, 1e5 * (share * (1 - share)) ** 0.5, rtol=1e-4)


class Far(Walk):
    """One number of an observation is normal, around an offset."""

    def __init__(self, offset: float, count: int):
        super().__init__("", count)
        self.offset, self.observations = offset, np.zeros((count, 3))

    def reset(self, lane, seed):
        self.draws = np.random.default_rng(seed)
        self.observations[lane] = self.draws.uniform(-1, 1), 0.0, self.offset + 100 * self.draws.normal()

    def step(self, lanes, actions):
        rewards, done = super().step(lanes, actions)
        self.observations[lanes, 2] = self.offset + 100 * self.draws.normal(size=len(lanes))
        return rewards, done


@pytest.mark.parametrize("offset", [1, 1010, -1e6, 1e9, 1e10, -1e12])
def test_numbers_that_are_far_from_0_have_their_deviation(offset):
    observation = jax.ShapeDtypeStruct((3,), np.float32)
    env = walk()._replace(name=f"far {offset}", lanes=functools.partial(Far, offset), observation=observation)
    _, (_, state) = generations(env, 8, workers=0)
    coarse = np.spacing(np.float32(abs(offset)))  # between two numbers of float32
    wanted = 100 if coarse < 200 else 0.1
    np.testing.assert_allclose(norm.deviation(state.normalizer)[2], wanted, rtol=0.1)
    assert abs(float(state.normalizer.mean[2]) - offset) <= 10 + coarse
    assert int(state.invalid_observations) < 0.6 * int(state.steps)


@pytest.mark.parametrize("size", [1e15, 1e25, 1e300, np.inf, np.nan])
def test_huge_observations_are_left_out_and_counted(size):
    infos, (_, state) = generations(spiky(size), 3, workers=0)
    assert int(state.invalid_observations) > 0.1 * int(state.steps)
    assert int(state.normalizer.count) + int(state.invalid_observations) == int(state.steps)
    assert jax.tree.all(jax.tree.map(lambda x: bool(np.isfinite(x).all()), state.normalizer))
    assert state.normalizer.mean[2] == 0 and 0.1 < state.normalizer.mean[1] < 10
    if not np.isnan(size):
        assert np.isfinite([float(info.worst) for info in infos]).all()


def test_batches_close_by_least_episodes_and_steps():
    _, (_, state) = generations(walk(), 1, workers=0, lanes=4, episodes=2, least_steps=30)
    assert int(state.episodes) >= 32
    assert int(state.steps) >= 16 * 30


def test_caps_shift_and_bonus():
    plain, (_, state) = generations(walk(), 1, workers=0, cap=5, normalize=False)
    assert int(state.steps) <= 16 * 5
    assert int(state.truncated) > 0
    shifted, _ = generations(walk(), 1, workers=0, cap=5, normalize=False, shift=1.0, alive_bonus=(0, 1, 1.0))
    gap = float(plain[0].mean - shifted[0].mean)
    np.testing.assert_allclose(gap, 1.0, rtol=1e-4)  # the bonus begins with the second step
    nothing, _ = generations(walk(), 1, workers=0, cap=5, normalize=False, clip_reward=(-1.0, 1e-9))
    assert 0 < float(nothing[0].mean) < 1e-8 < float(plain[0].mean)


def test_a_recurrent_policy_with_noise_keeps_its_memory():
    env = walk()
    policy = rl.gru(env, hidden=(3,), action_noise=0.1)
    problem = rl.rollout(env, policy, workers=0, lanes=5)
    strategy = jaxes.open_es(6, 0.1)
    carry = strategy.init(KEY, policy.init(KEY)), problem.init(KEY)
    (_, state), info = jaxes.generation(strategy, problem)(carry)
    assert np.isfinite(info.mean) and int(state.episodes) == 6


def test_a_member_whose_reward_is_nan_ranks_last():
    infos, _ = generations(walk("nan"), 3, workers=0)
    assert sum(int(info.invalid) for info in infos) > 0
    assert np.isfinite(infos[-1].mean)


def test_evaluation_is_a_plain_function():
    env = walk()
    policy = rl.mlp(env, (4,))
    out = rl.evaluation(env, policy, episodes=5)(policy.init(KEY), None, KEY)
    assert out.returns.shape == out.lengths.shape == (5,)
    assert len(set(out.returns.tolist())) > 1


def test_a_generation_is_not_compiled():
    env = walk()
    policy = rl.mlp(env, (4,))
    problem = rl.rollout(env, policy, workers=0)
    carry = STRATEGY.init(KEY, policy.init(KEY)), problem.init(KEY)
    with pytest.raises(TypeError, match=r"evaluated in Python.*jaxes\.fit"):
        jax.lax.scan(jaxes.generation(STRATEGY, problem), carry, length=2)


def test_a_killed_worker_costs_its_episodes_only(here, tmp_path):
    mine = tmp_path / "kill"
    mine.touch()
    infos, carry = generations(walk(str(mine)), workers=2, lanes=16)
    assert not mine.exists()
    assert_same((infos, carry), here)


def test_a_worker_that_fails_says_where():
    with pytest.raises(RuntimeError, match=r"(?s)a worker process failed.*ZeroDivisionError: the walk is broken"):
        generations(walk("raise"), 1, workers=1, lanes=4)


def test_workers_that_hang_are_replaced_and_then_given_up(monkeypatch):
    monkeypatch.setattr(engine, "Pool", functools.partial(Pool, patience=0.5))
    monkeypatch.setattr("jaxes.rl.host.pool.RETRIES", 1)
    with pytest.raises(RuntimeError, match=r"2 workers of walk hang were lost; the last one was silent"):
        generations(walk("hang"), 1, workers=1, lanes=4)


def test_lanes_that_cannot_be_sent_are_refused():
    class Local(Walk):
        pass

    env = walk()._replace(lanes=lambda count: Local("", count))
    with pytest.raises(ValueError, match=r"must be a module's function.*workers=0 plays in this process"):
        generations(env, 1, workers=1)


def test_settings_of_the_other_kind_are_refused():
    with pytest.raises(ValueError, match="mode must be auto or refill for walk , which runs on CPUs; got 'scan'"):
        rl.rollout(walk(), rl.mlp(walk()), mode="scan")
    with pytest.raises(ValueError, match="workers is for environments that run on CPUs"):
        rl.rollout(toys.chase(), toys.linear(), workers=1)


def test_it_tells_how_far_a_long_generation_is():
    told = []
    policy = rl.mlp(walk("slow", limit=3), (4,))
    problem = rl.rollout(walk("slow", limit=3), policy, workers=1, lanes=4)
    problem.listen(told.append)
    carry = STRATEGY.init(KEY, policy.init(jax.random.key(1))), problem.init(KEY)
    jaxes.generation(STRATEGY, problem)(carry)
    assert len(told) >= 3 and told == sorted(told)
    assert any(0 < share < 1 for share in told)


def test_members_of_low_rank_are_played_by_their_factors(here):
    """The same fitness as their dense equivalents, and the same bits from two processes."""
    low = jaxes.open_es(16, 0.5, learning_rate=0.1, noise=jaxes.noise.low_rank())
    dense = low._replace(ask=functools.partial(_dense, low.ask))
    env = walk()
    policy = rl.mlp(env, (4,))
    ends = []
    for strategy, workers in ((low, 0), (low, 2), (dense, 0)):
        problem = rl.rollout(env, policy, workers=workers, lanes=16)
        carry = strategy.init(KEY, policy.init(jax.random.key(1))), problem.init(KEY)
        ends.append(jaxes.generation(strategy, problem)(carry))
    assert_same(ends[0], ends[1])
    np.testing.assert_allclose(ends[0][1].mean, ends[2][1].mean, rtol=1e-4)


def _dense(ask, state, ids=None):
    return jaxes.materialize(ask(state, ids))
