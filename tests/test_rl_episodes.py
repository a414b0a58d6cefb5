"""Episodes: time limits, masks, early exit, keys, memory; against a plain Python loop over `env.step`."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import clock, linear, played

import jaxes
from jaxes import rl
from jaxes.rl import accounting, episodes
from jaxes.rl import normalizer as norm
from jaxes.rl.cap import cap
from jaxes.support import keys

M, E = 6, 2
POLICY = linear()
PARAMS = jax.random.normal(jax.random.key(1), (M, 2))
KEYS = jax.random.split(jax.random.key(2), (M, E))


def play(env, max_steps, **options):
    return jax.jit(lambda p, k: rl.play(env, POLICY, lambda _=None: p, k, None, max_steps, **options))(PARAMS, KEYS)


def by_hand(env, max_steps, **options):
    """The same in Python: returns, lengths, truncated, each [M, E]."""
    rows = [[played(env, POLICY, PARAMS[i], KEYS[i, j], max_steps, **options)[:3] for j in range(E)] for i in range(M)]
    return [np.array([[row[j][k] for j in range(E)] for row in rows]) for k in range(3)]


@pytest.mark.parametrize("poison", [False, True])
@pytest.mark.parametrize("life", [(3, 30), (12, 12), (11, 14)])
def test_episodes_equal_a_python_loop(life, poison):
    env = clock(life=life, poison=poison)
    out = play(env, 12, check_every=5)
    returns, lengths, truncated = by_hand(env, 12)
    np.testing.assert_allclose(out.returns, returns, rtol=1e-6)
    np.testing.assert_array_equal(out.lengths, lengths)
    np.testing.assert_array_equal(out.truncated, truncated)
    assert out.returns.dtype == jnp.float32 and out.lengths.dtype == jnp.int32


@pytest.mark.parametrize("check_every", [1, 7, 25, 100])
def test_the_rollout_owns_the_time_limit(check_every):
    env = clock(life=None)
    limited = lambda t: rl.play(env, POLICY, lambda: PARAMS, KEYS, None, t, check_every=check_every)
    limited = jax.jit(chex.assert_max_traces(limited, n=1))  # a traced limit must not compile again
    for max_steps in (1, 24, 25, 40):
        out = limited(jnp.int32(max_steps))
        assert (out.lengths == max_steps).all() and out.truncated.all()


def test_done_on_the_last_step_is_not_truncated():
    out = play(clock(life=(12, 12)), 12)
    assert not out.truncated.any() and (out.lengths == 12).all()


def test_done_after_the_time_limit_is_truncated():
    out = play(clock(life=(13, 13)), 12, check_every=20)
    assert out.truncated.all() and (out.lengths == 12).all()


def test_early_exit_changes_nothing():
    env = clock(poison=True)
    whole = play(env, 40, check_every=40)
    for check_every in (1, 7):
        part = play(env, 40, check_every=check_every)
        np.testing.assert_array_equal(part.returns, whole.returns)
        np.testing.assert_array_equal(part.lengths, whole.lengths)
        np.testing.assert_array_equal(part.truncated, whole.truncated)


def test_memory_passes_through_and_starts_afresh():
    """The policy acts by the step it believes to be in."""
    count = lambda params, memory, observation, key: (memory["steps"] * params[:1], {"steps": memory["steps"] + 1})
    policy = rl.Policy(init=lambda key: jnp.ones(2), act=count, start=lambda params: {"steps": jnp.float32(0)})
    env = clock(life=(5, 5))
    out = jax.jit(lambda: rl.play(env, policy, lambda: jnp.ones((M, 2)), KEYS, None, 40))()
    starts = jax.vmap(jax.vmap(env.reset))(KEYS).physics.start
    np.testing.assert_allclose(out.returns, 5 + starts * (0 + 1 + 2 + 3 + 4), rtol=1e-6)


def test_only_training_gives_a_random_policy_keys():
    """Keys are those of the lane and the step: other for every lane, the same for every member that starts alike."""
    draw = lambda key: jnp.zeros(1) if key is None else jax.random.normal(key, (1,))
    policy = rl.Policy(lambda key: jnp.ones(2), lambda params, memory, seen, key=None: (draw(key), memory), random=True)
    env, keys = clock(life=(5, 5)), KEYS.at[1].set(KEYS[0])
    out = jax.jit(lambda t: rl.play(env, policy, lambda: PARAMS, keys, None, 40, training=t), static_argnums=0)
    quiet, noisy = out(False).returns, out(True).returns
    np.testing.assert_array_equal(quiet, 5)
    assert len(np.unique(noisy)) == (M - 1) * E and (noisy[0] == noisy[1]).all()


# --- the parts of the loop -----------------------------------------------------------------------------------------

SLOTS = 6


def setup(**changes):
    """Three members with two slots each, on four lanes, with a normalizer and a probe."""
    start = norm.init(jax.ShapeDtypeStruct((2,), jnp.float32))
    given = episodes.Setup(
        env=clock(life=(3, 9)),
        policy=POLICY,
        act=POLICY.act,
        members=lambda ids=None: PARAMS[:3] if ids is None else PARAMS[ids],
        common=None,
        keys=KEYS[:3].reshape(SLOTS),
        episodes=2,
        normalizer=start,
        see=lambda observation: observation,
        max_steps=6,
        lanes=4,
        steps=2,
        least_steps=0,
        reward=None,
        probe=jax.random.key(9),
        watch=1.0,
        training=False,
    )
    return given._replace(**changes)


def test_enter_begins_the_episodes_of_slots():
    for watch in (1.0, 0.5):
        given = setup(watch=watch, least_steps=10)
        slot, again = jnp.array([3, 0]), jnp.array([0, 2])
        lanes, probed = episodes.enter(given, PARAMS[jnp.array([1, 0])], slot, again)
        own = jnp.stack([KEYS[1, 1], keys.of_episode(KEYS[0, 0], jnp.int32(2))])
        start = jax.vmap(given.env.reset)(own)
        jax.tree.map(np.testing.assert_array_equal, lanes.env, start)
        np.testing.assert_array_equal(probed, given.env.reset(given.probe).observation)
        np.testing.assert_array_equal(lanes.params, PARAMS[jnp.array([1, 0])])
        assert lanes.alive.all() and not lanes.truncated.any() and not lanes.lengths.any() and not lanes.returns.any()
        draws = jax.vmap(lambda key: jax.random.uniform(keys.stream(key, keys.Stream.WATCH)))(own)
        np.testing.assert_array_equal(lanes.watched, draws < 0.5 if watch < 1 else ())


def test_lanes_of_one_member_share_its_parameters():
    given, carry = episodes.begin(setup(lanes=SLOTS))
    assert given.share == 2 and not given.waits
    assert carry.lanes.params.shape == (3, 2) and carry.lanes.slot.tolist() == [0, 1, 2, 3, 4, 5]
    assert int(carry.waiting) == SLOTS
    (lanes, moments) = episodes.step(given, carry.lanes.params, (carry.lanes._replace(params=()), carry.moments))
    for i in range(SLOTS):
        action, _ = POLICY.act(PARAMS[i // 2], (), carry.lanes.env.observation[i])
        np.testing.assert_allclose(lanes.returns[i], 1 + carry.lanes.env.physics.start[i] * action[0], rtol=1e-6)
    assert int(moments.count) == SLOTS


def test_a_step_counts_for_living_lanes_only():
    given = setup(lanes=3, env=clock(life=(3, 3)), reward=lambda reward, t: t.astype(jnp.float32))
    lanes, _ = episodes.enter(given, PARAMS[:3], jnp.arange(3), jnp.zeros(3, jnp.int32))
    time = jnp.array([0, 2, 4])  # one goes on, one is done by this step, one was done before
    physics = lanes.env.physics._replace(time=time)
    lanes = lanes._replace(env=lanes.env._replace(physics=physics), lengths=time, alive=jnp.array([True, True, False]))
    state = lanes._replace(params=()), norm.no_moments(given.normalizer)
    after, moments = episodes.step(given, lanes.params, state)
    assert after.lengths.tolist() == [1, 3, 4] and after.alive.tolist() == [True, False, False]
    assert after.returns.tolist() == [0.0, 2.0, 0.0], "the reward is told the step of the episode"
    assert not after.truncated.any() and int(moments.count) == 2
    late, _ = episodes.step(given._replace(max_steps=1), lanes.params, state)
    assert late.alive.tolist() == [False] * 3 and late.truncated.tolist() == [True, False, False]


def test_fill_gives_free_lanes_the_slots_that_wait():
    given, carry = episodes.begin(setup())
    assert given.waits and carry.lanes.slot.tolist() == [SLOTS] * 4 and not carry.lanes.alive.any()
    carry = episodes.fill(given, carry)
    assert carry.lanes.slot.tolist() == [0, 1, 2, 3] and int(carry.waiting) == 4 and carry.lanes.alive.all()
    np.testing.assert_array_equal(carry.lanes.params, PARAMS[jnp.array([0, 0, 1, 1])])
    np.testing.assert_array_equal(carry.moments.center, given.env.reset(given.probe).observation)
    free = carry.lanes._replace(slot=jnp.array([0, 6, 6, 6]), alive=jnp.array([True, False, False, False]))
    carry = episodes.fill(given, carry._replace(lanes=free))
    assert carry.lanes.slot.tolist() == [0, 4, 5, 6] and int(carry.waiting) == SLOTS
    assert carry.lanes.alive.tolist() == [True, True, True, False]
    np.testing.assert_array_equal(carry.lanes.params[1:3], PARAMS[jnp.array([2, 2])])


def test_note_frees_lanes_whose_slots_have_had_their_steps():
    for least, slot, again in ((0, [0, 6, 6, 6], [0, 0, 0, 0]), (5, [0, 6, 2, 6], [0, 0, 1, 0])):
        given, carry = episodes.begin(setup(least_steps=least))
        lanes = carry.lanes._replace(
            slot=jnp.array([0, 1, 2, 6]),
            returns=jnp.array([1.0, 2.0, 3.0, 9.0]),
            lengths=jnp.array([3, 6, 4, 9]),
            alive=jnp.array([True, False, False, False]),
            truncated=jnp.array([False, True, False, True]),
        )
        carry = episodes.note(given, carry._replace(lanes=lanes))
        assert carry.totals.returns.tolist() == [0, 2, 3, 0, 0, 0]
        assert carry.totals.lengths.tolist() == [0, 6, 4, 0, 0, 0]
        assert carry.totals.episodes.tolist() == [0, 1, 1, 0, 0, 0]
        assert carry.totals.truncated.tolist() == [0, 1, 0, 0, 0, 0]
        assert carry.lanes.slot.tolist() == slot and carry.lanes.again.tolist() == again


def test_a_generation_is_settled_alike_in_compiled_programs_and_worker_processes():
    out = play(clock(), 12)
    wide = {name: np.asarray(getattr(out, name)).astype(np.int64) for name in ("lengths", "episodes", "truncated")}
    here = out._replace(returns=np.asarray(out.returns, np.float64), **wide)
    (fitness, sums), (other_fitness, other_sums) = accounting.settle(out), accounting.settle(here)
    np.testing.assert_allclose(fitness, out.returns.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(other_fitness, fitness, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, other_sums, sums)
    assert fitness.dtype == other_fitness.dtype == jnp.float32
    assert int(sums.steps) == int(out.lengths.sum()) and sums.steps.dtype == jnp.uint32


# --- the rollout as a problem -------------------------------------------------------------------------------------


def evaluated(env, ids=None, params=PARAMS, key=KEYS[0, 0], **options):
    problem = rl.rollout(env, POLICY, **options)
    ids = jnp.arange(len(params)) if ids is None else ids
    return jax.jit(lambda p: problem.evaluate(problem.init(key), key, lambda _=None: p, ids))(params)


@pytest.mark.parametrize(
    "seeds, same", [("pair", [0, 0, 1, 1, 2, 2]), ("generation", [0] * 6), ("independent", [0, 1, 2, 3, 4, 5])]
)
def test_seeds_share_start_states(seeds, same):
    """Equal members have equal fitness exactly where they start alike."""
    fitness, _ = evaluated(clock(), params=jnp.ones((M, 2)), seeds=seeds, normalize=False)
    groups = np.unique(fitness, return_inverse=True)[1]
    assert len(set(zip(groups, same))) == len(set(groups)) == len(set(same))


def test_fitness_is_the_mean_over_episodes():
    env = clock()
    fitness, sums = evaluated(env, episodes=3, normalize=False)
    single = rl.rollout(env, POLICY, normalize=False)
    key = KEYS[0, 0]
    for i in range(M):
        unit = jax.random.fold_in(key, i // 2)
        runs = [played(env, POLICY, PARAMS[i], jax.random.fold_in(unit, j), 40) for j in range(3)]
        np.testing.assert_allclose(fitness[i], np.mean([r[0] for r in runs]), rtol=1e-6)
    first, _ = jax.jit(lambda: single.evaluate(single.init(key), key, lambda: PARAMS, jnp.arange(M)))()
    assert first[0] != fitness[0]
    assert int(sums.episodes) == 3 * M


def test_sums_count_steps_episodes_and_truncations():
    env = clock(life=(3, 20))
    _, sums = evaluated(env, max_steps=10, seeds="independent")
    keys = [jax.random.fold_in(jax.random.fold_in(KEYS[0, 0], i), 0) for i in range(M)]
    life = np.array([int(env.reset(k).physics.life) for k in keys])
    assert int(sums.steps) == np.minimum(life, 10).sum() == int(sums.moments.count)
    assert int(sums.truncated) == (life > 10).sum()
    assert int(sums.episodes) == M


def strategy(blocks=1, size=8):
    return jaxes.open_es(size, 0.1, blocks=blocks)


def generation(problem, es):
    step = jax.jit(jaxes.generation(es, problem))
    start = (es.init(jax.random.key(5), jnp.zeros(2)), problem.init(jax.random.key(6)))
    return step, start


def test_blocks_change_nothing_but_memory():
    """The same episode keys, the same steps exactly, the same update and moments up to rounding."""
    problem = rl.rollout(clock(poison=True), POLICY, episodes=2)
    outs = []
    for blocks in (1, 4):
        step, carry = generation(problem, strategy(blocks))
        for _ in range(3):
            carry, info = step(carry)
        outs.append((carry[0].mean, info, carry[1]))
    (mean, info, state), (blocked_mean, blocked_info, blocked_state) = outs
    np.testing.assert_allclose(blocked_mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(blocked_info.mean, info.mean, rtol=1e-5)
    counts = lambda state: [int(getattr(state, name)) for name in ("steps", "episodes", "truncated")]
    assert counts(blocked_state) == counts(state)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4), blocked_state.normalizer, state.normalizer)


def test_a_member_with_nan_reward_ranks_last_and_the_run_goes_on():
    env = clock()
    sick = lambda state, action: env.step(state, action)._replace(
        reward=jnp.where(action[0] > 0, jnp.nan, env.step(state, action).reward)
    )
    problem = rl.rollout(env._replace(step=sick), POLICY)
    es = jaxes.open_es(8, 1.0)
    step, carry = generation(problem, es)
    members = jax.jit(es.ask)(carry[0])
    key = keys.stream(jax.random.fold_in(carry[0].key, 0), keys.Stream.PROBLEM)
    fitness, _ = jax.jit(lambda: problem.evaluate(carry[1], key, lambda: members, jnp.arange(8)))()
    assert 0 < np.isnan(fitness).sum() < 8
    after, info = step(carry)
    assert int(info.invalid) == np.isnan(fitness).sum()
    assert np.isfinite(after[0].mean).all() and not np.array_equal(after[0].mean, carry[0].mean)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after[1].normalizer))


def test_nan_observations_stay_out_of_the_normalizer():
    env = clock(life=None)

    def torn(state):
        gone = state.physics.time == 3
        return state._replace(observation=jnp.where(gone, jnp.nan, state.observation))

    problem = rl.rollout(env._replace(step=lambda state, action: torn(env.step(state, action))), POLICY, max_steps=10)
    fitness, sums = jax.jit(
        lambda: problem.evaluate(problem.init(KEYS[0, 0]), KEYS[0, 0], lambda: PARAMS, jnp.arange(M))
    )()
    assert np.isnan(fitness).all(), "an action from NaN must not look like a good one"
    assert int(sums.moments.count) == M * 9
    state = problem.update(problem.init(KEYS[0, 0]), sums)
    np.testing.assert_allclose(state.normalizer.mean[0], np.mean([0, 1, 2, 4, 5, 6, 7, 8, 9]), rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"episodes": 0}, "episodes must be an int of 1 or more, got 0"),
        ({"max_steps": 2.5}, "max_steps must be an int"),
        ({"check_every": True}, "check_every must be an int"),
        ({"seeds": "pairs"}, "seeds must be 'pair', 'generation' or 'independent', got 'pairs'"),
        ({"lanes": 0}, "lanes must be an int of 1 or more, got 0"),
        ({"least_steps": -1}, "least_steps must be an int of 0 or more, got -1"),
        ({"mode": "fast"}, "mode must be 'auto', 'refill', 'while' or 'scan', got 'fast'"),
        ({"mode": "scan", "lanes": 2}, "lanes and least_steps need mode 'refill' or 'auto', got mode 'scan'"),
        ({"mode": "while", "least_steps": 2}, "need mode 'refill' or 'auto', got mode 'while'"),
        ({"normalize": "mean"}, "normalize must be one of on, salimans, ars, off, True or False; got 'mean'"),
        ({"alive_bonus": (5, 5, 1.0)}, r"alive_bonus must be \(t0, t1, bonus\) with 0 <= t0 < t1, got \(5, 5, 1.0\)"),
        ({"alive_bonus": 3.0}, "alive_bonus must be"),
        ({"clip_reward": (1, -1)}, r"clip_reward must be \(low, high\) with low < high, got \(1, -1\)"),
        ({"clip_reward": (-1, 0, 1)}, "clip_reward must be"),
    ],
)
def test_bad_rollout_options(options, message):
    with pytest.raises(ValueError, match=message):
        rl.rollout(clock(), POLICY, **options)


# --- evaluation ----------------------------------------------------------------------------------------------------


def test_evaluation_plays_full_different_episodes():
    env = clock(life=None, max_steps=30)
    evaluate = jax.jit(rl.evaluation(env, POLICY, episodes=5))
    out = evaluate(PARAMS[0], None, jax.random.key(0))
    assert out.returns.shape == (5,) and (out.lengths == 30).all() and out.truncated.all()
    assert len(set(out.returns.tolist())) == 5, "every episode starts differently"
    np.testing.assert_array_equal(out.returns, evaluate(PARAMS[0], None, jax.random.key(0)).returns)
    assert set(out.returns.tolist()).isdisjoint(evaluate(PARAMS[0], None, jax.random.key(1)).returns.tolist())


def test_evaluation_uses_the_normalizer():
    env = clock(life=(9, 9))
    normalizer = norm.init(jax.ShapeDtypeStruct((2,), jnp.float32))._replace(
        count=jnp.float32(4), mean=jnp.array([3.0, 0.5]), squares=jnp.array([16.0, 1.0])
    )
    out = jax.jit(rl.evaluation(env, POLICY, episodes=2))(PARAMS[0], normalizer, jax.random.key(0))
    keys = jax.random.split(jax.random.key(0), (1, 2))[0]
    see = lambda observation: norm.normalize(normalizer, observation)
    expected = [played(env, POLICY, PARAMS[0], key, 40, see)[0] for key in keys]
    np.testing.assert_allclose(out.returns, expected, rtol=1e-5)


@pytest.mark.parametrize("episodes", [0, True, 1.5])
def test_bad_evaluation_episodes(episodes):
    with pytest.raises(ValueError, match="episodes must be an int of 1 or more"):
        rl.evaluation(clock(), POLICY, episodes=episodes)


def fitness_of(problem, state, params=PARAMS):
    ask = lambda ids=None: params if ids is None else params[ids]
    return jax.jit(lambda s: problem.evaluate(s, KEYS[0, 0], ask, jnp.arange(len(params))))(state)


def test_an_adaptive_cap_grows_when_enough_episodes_reach_it():
    problem = rl.rollout(clock(life=None, max_steps=40), POLICY, cap="adaptive:10,0.5,1.5", check_every=5)
    state, limits = problem.init(KEYS[0, 0]), []
    for _ in range(5):
        _, sums = fitness_of(problem, state)
        limits.append(int(sums.steps) // M)
        state = problem.update(state, sums)
    assert limits == [10, 15, 22, 33, 40]


def test_a_cap_stays_while_too_few_episodes_reach_it():
    limit = cap("adaptive:10,0.5,2", 100)
    assert int(limit.update(jnp.uint32(10), jnp.uint32(4), jnp.uint32(80)).limit) == 10
    assert int(limit.update(jnp.uint32(10), jnp.uint32(5), jnp.uint32(80)).limit) == 20


@pytest.mark.parametrize(
    "text",
    [
        *("adaptive", "adaptive:9,1", "adaptive:0,1,2", "adaptive:9,0,2", "adaptive:9,1,1", "x:1,1,2"),
        *("1x_mean", "x_mean", "0", 0, -3, 2.5, True),
    ],
)
def test_a_cap_that_makes_no_sense_is_shown(text):
    with pytest.raises(ValueError, match=r"cap must be a number of steps, .*got"):
        cap(text, 100)


def test_a_shift_is_taken_off_every_reward():
    plain = rl.rollout(clock(), POLICY, seeds="independent")
    shifted = rl.rollout(clock(), POLICY, seeds="independent", shift=2.0)
    state = plain.init(KEYS[0, 0])
    (a, sums), (b, _) = fitness_of(plain, state), fitness_of(shifted, shifted.init(KEYS[0, 0]))
    np.testing.assert_allclose(jnp.sum(a - b), 2.0 * float(sums.steps), rtol=1e-6)


def test_rewards_are_clipped_before_anything_is_taken_off():
    """The clock's rewards are about 1."""
    clipped = rl.rollout(clock(), POLICY, seeds="independent", clip_reward=(-math.inf, 0.25), shift=0.5)
    fitness, sums = fitness_of(clipped, clipped.init(KEYS[0, 0]))
    np.testing.assert_allclose(jnp.sum(fitness), -0.25 * float(sums.steps), rtol=1e-6)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"cap": 7}, [7, 7, 7]),
        ({"cap": 70}, [40, 40, 40]),
        ({"cap": "2x_mean", "life": 10}, [40, 20, 20]),
        ({"cap": "1.5x_mean", "life": 30}, [40, 40, 40]),
    ],
)
def test_caps(options, expected):
    """`life` is how long every episode would last."""
    life = options.pop("life", None)
    problem = rl.rollout(clock(life=life and (life, life), max_steps=40), POLICY, **options)
    state, limits = problem.init(KEYS[0, 0]), []
    for _ in expected:
        limits.append(int(state.cap.limit))
        state = problem.update(state, fitness_of(problem, state)[1])
    assert limits == expected


def test_a_shift_may_follow_a_schedule():
    problem = rl.rollout(clock(), POLICY, shift=lambda t: 1.0 + t)
    state = problem.init(KEYS[0, 0])
    assert float(state.shift) == 1
    assert float(problem.update(state, fitness_of(problem, state)[1]).shift) == 2


def test_the_alive_bonus_grows_between_two_steps_of_an_episode():
    env = clock(life=(30, 30))
    plain, paid = (rl.rollout(env, POLICY, alive_bonus=bonus) for bonus in (None, (10, 20, 3.0)))
    (a, _), (b, _) = (fitness_of(problem, problem.init(KEYS[0, 0])) for problem in (plain, paid))
    np.testing.assert_allclose(b - a, 3 * np.interp(np.arange(30), [10, 20], [0, 1]).sum(), rtol=1e-5)


# --- lanes ---------------------------------------------------------------------------------------------------------

MANY = jax.random.normal(jax.random.key(6), (24, 2))


def noisy():
    """A policy with memory and with random actions."""

    def act(params, memory, observation, key=None):
        action, _ = POLICY.act(params, (), observation)
        noise = 0.0 if key is None else jax.random.normal(key, (1,))
        return action + 0.1 * memory + noise, memory + 1

    return rl.Policy(POLICY.init, act, start=lambda params: params[0], random=True)


@pytest.fixture(scope="module", params=[1, 3], ids=["one episode", "three episodes"])
def one_lane_each(request):
    options = {"episodes": request.param, "max_steps": 25}
    problem = rl.rollout(clock(life=(3, 30), poison=True), noisy(), mode="while", **options)
    return options, fitness_of(problem, problem.init(KEYS[0, 0]), MANY)


@pytest.mark.parametrize(
    "how",
    [
        {"mode": "scan"},
        {"mode": "refill", "lanes": 24},
        {"mode": "refill", "lanes": 8},
        {"lanes": 13, "check_every": 5},
        {"lanes": 1, "check_every": 1},
        {"mode": "auto"},
    ],
    ids=str,
)
def test_every_mode_gives_the_same(one_lane_each, how):
    """Members, starts, actions and memories are the episode's, whichever lane plays it and when."""
    options, (fitness, sums) = one_lane_each
    problem = rl.rollout(clock(life=(3, 30), poison=True), noisy(), **options, **how)
    got, got_sums = fitness_of(problem, problem.init(KEYS[0, 0]), MANY)
    np.testing.assert_array_equal(got, fitness)
    for name in ("steps", "episodes", "truncated"):
        assert int(getattr(got_sums, name)) == int(getattr(sums, name))
    assert int(got_sums.moments.count) == int(sums.moments.count) == int(sums.steps)
    np.testing.assert_array_equal(got_sums.moments.center, sums.moments.center)
    np.testing.assert_allclose(got_sums.moments.squares, sums.moments.squares, rtol=1e-5)


def test_lane_steps_count_what_lanes_took():
    env = clock(life=(10, 10), max_steps=40)
    steps = lambda **how: int(fitness_of(p := rl.rollout(env, POLICY, **how), p.init(KEYS[0, 0]), MANY)[1].lane_steps)
    assert steps(mode="scan") == 24 * 40
    assert steps(mode="while", check_every=8) == 24 * 16
    assert steps(lanes=8, check_every=5) == 24 * 10


def test_refilled_lanes_waste_little():
    """Lengths are uniform in 3..60, and lanes look for new work every fourth step."""
    problem = rl.rollout(clock(life=(3, 60), max_steps=60), POLICY, seeds="independent", lanes=8, check_every=4)
    params = jax.random.normal(jax.random.key(7), (400, 2))
    _, sums = fitness_of(problem, problem.init(KEYS[0, 0]), params)
    assert int(sums.steps) > 0.9 * int(sums.lane_steps)


@pytest.mark.parametrize("lanes", [5, 24])
def test_a_member_plays_on_until_it_has_its_steps(lanes):
    env, least = clock(life=(3, 30)), 40
    problem = rl.rollout(env, POLICY, least_steps=least, lanes=lanes, normalize=False)
    fitness, sums = fitness_of(problem, problem.init(KEYS[0, 0]), MANY)
    episodes = steps = 0
    for i, params in enumerate(MANY[:6]):
        key, rows = jax.random.fold_in(jax.random.fold_in(KEYS[0, 0], i // 2), 0), []
        while sum(row[1] for row in rows) < least:
            rows.append(played(env, POLICY, params, keys.of_episode(key, jnp.int32(len(rows))), 40))
        np.testing.assert_allclose(fitness[i], np.mean([row[0] for row in rows]), rtol=1e-5)
        episodes, steps = episodes + len(rows), steps + sum(row[1] for row in rows)
    assert int(sums.steps) >= 24 * least and int(sums.episodes) > 24
    assert episodes > 6 and steps >= 6 * least


def test_more_lanes_than_episodes():
    problem = rl.rollout(clock(), POLICY, lanes=50, episodes=2)
    with pytest.raises(
        ValueError, match="lanes must be at most the episodes to play, 48 in a block of members; got 50"
    ):
        fitness_of(problem, problem.init(KEYS[0, 0]), MANY)


def test_presets_of_the_normalizer():
    params = jax.random.normal(jax.random.key(7), (400, 2))
    for name, share in (("on", 1.0), ("salimans", 0.01), ("ars", 1.0)):
        problem = rl.rollout(clock(life=(5, 5)), POLICY, normalize=name, seeds="independent")
        state = problem.init(KEYS[0, 0])
        _, sums = fitness_of(problem, state, params)
        assert int(sums.moments.count) % 5 == 0, "whole episodes"
        np.testing.assert_allclose(int(sums.moments.count) / (400 * 5), share, atol=0.01)
        far = norm.normalize(problem.update(state, sums).normalizer, jnp.array([1e6, 1e6]))
        assert (far > 1e4).all() if name == "ars" else (far == 5).all()
