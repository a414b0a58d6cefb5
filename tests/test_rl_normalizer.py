"""The observation normalizer against NumPy over all live observations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import chase, clock, linear, played

import jaxes
from jaxes import rl
from jaxes.rl import normalizer as norm

LANES, STEPS, N = 8, 20, 3


def streamed(observations, masks, parts=1, reach=norm.REACH):
    """Moments over generations [g, steps, lanes, n], each in `parts` equal parts; returns the normalizer."""

    def generation(normalizer, data):
        seen, mask = data

        def part(seen, mask):
            start = norm.around(norm.no_moments(normalizer), normalizer, data[0][0, 0])
            return jax.lax.scan(lambda m, x: (norm.observe(normalizer, m, *x), None), start, (seen, mask))[0]

        cut = lambda x: jnp.moveaxis(x.reshape(STEPS, parts, LANES // parts, *x.shape[2:]), 1, 0)
        sums = jax.vmap(part)(cut(seen), cut(mask))
        return norm.update(normalizer, jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)), None

    start = norm.init(jax.ShapeDtypeStruct((N,), jnp.float32))._replace(reach=jnp.float32(reach))
    return jax.jit(lambda x, m: jax.lax.scan(generation, start, (x, m))[0])(observations, masks)


def data(offset=0.0, scale=1.0, generations=4, seed=0):
    rng = np.random.default_rng(seed)
    drift = 0.3 * rng.normal(size=(generations, 1, 1, N))
    x = offset + scale * (rng.normal(size=(generations, STEPS, LANES, N)) + drift)
    mask = rng.random((generations, STEPS, LANES)) < 0.7
    mask[:, 0, 0] = True  # the probe: an observation right after a reset
    return x.astype(np.float32), mask


@pytest.mark.parametrize("offset, scale", [(0.0, 1.0), (1e4, 1.0), (-300.0, 0.5), (2.0, 1e3)])
@pytest.mark.parametrize("parts", [1, 4])
def test_equals_numpy_over_live_observations(offset, scale, parts):
    x, mask = data(offset, scale)
    reach = 1e6 if max(offset, scale) > 100 else norm.REACH  # as it is once the world is known to be large
    got = streamed(np.where(mask[..., None], x, 1e9).astype(np.float32), mask, parts, reach)
    live = x[mask].astype(np.float64)
    assert int(got.count) == len(live)
    np.testing.assert_allclose(got.mean, live.mean(0), rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(norm.deviation(got), live.std(0), rtol=2e-3 if offset == 1e4 else 1e-5)


def test_observations_with_nan_or_inf_are_left_out():
    x, mask = data()
    x[1, 3, 2, 0], x[2, 5, 1, 1] = np.nan, np.inf
    fine = mask & np.isfinite(x).all(-1)
    got = streamed(x, mask)
    np.testing.assert_allclose(got.mean, x[fine].mean(0), rtol=1e-4, atol=1e-5)
    assert int(got.count) == fine.sum()


def test_a_probe_with_nan_does_no_harm():
    x, mask = data(generations=1)
    x[0, 0, 0] = np.nan
    got = streamed(x, mask)
    assert np.isfinite(got.mean).all()


def test_a_new_one_changes_nothing_within_the_limits():
    new = norm.init(jax.ShapeDtypeStruct((N,), jnp.float32))
    x = jnp.array([0.5, -4.0, 7.0])
    np.testing.assert_array_equal(norm.normalize(new, x), [0.5, -4.0, 5.0])


def test_a_generation_without_observations_changes_nothing():
    x, _ = data(generations=2)
    mask = np.ones(x.shape[:3], bool)
    once = streamed(x[:1], mask[:1])
    mask[1] = False
    twice = streamed(x, mask)
    jax.tree.map(np.testing.assert_array_equal, once, twice)


def test_floor_and_clip():
    empty = norm.init(jax.ShapeDtypeStruct((3,), jnp.float32))
    normalizer = empty._replace(count=jnp.float32(100), squares=jnp.array([0.0, 1e-4, 400.0]))
    np.testing.assert_allclose(norm.deviation(normalizer), [0.1, 0.1, 2.0])
    got = norm.normalize(normalizer, jnp.array([0.2, 1.0, -1e9]))
    np.testing.assert_allclose(got, [2.0, 5.0, -5.0])
    np.testing.assert_allclose(
        norm.normalize(normalizer._replace(limit=jnp.float32(3)), jnp.array([0.2, 1.0, 8.0])), [2.0, 3.0, 3.0]
    )
    assert np.isnan(norm.normalize(normalizer, jnp.array([jnp.nan, 0.0, 0.0]))[0])


def test_integer_observations():
    shape = jax.ShapeDtypeStruct((2,), jnp.uint8)
    start = norm.init(shape)
    seen = jnp.array([[0, 255], [4, 253]], jnp.uint8)
    sums = norm.observe(start, norm.around(norm.no_moments(start), start, seen[0]), seen, jnp.ones(2, bool))
    got = norm.update(start, sums)
    np.testing.assert_allclose(got.mean, [2, 254])
    assert norm.normalize(got, seen[0]).dtype == jnp.float32


# --- in a rollout ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [False, True])
def test_several_generations_of_a_rollout(nested):
    """Frozen within a generation, updated between them, equal to NumPy over every observation acted upon."""
    env, policy, size, key = clock(life=(2, 9), poison=True, offset=50.0, nested=nested), linear(), 4, jax.random.key(3)
    problem = rl.rollout(env, policy, episodes=2)
    members = jax.random.normal(jax.random.key(4), (size, 2))
    state, seen = problem.init(key), []
    evaluate = jax.jit(lambda state, key: problem.evaluate(state, key, lambda: members, jnp.arange(size)))
    for t in range(2):
        now = jax.random.fold_in(key, t)
        fitness, sums = evaluate(state, now)
        see = jax.jit(lambda observation, frozen=state.normalizer: norm.normalize(frozen, observation))
        for i in range(size):
            keys = [jax.random.fold_in(jax.random.fold_in(now, i // 2), j) for j in range(2)]
            runs = [played(env, policy, members[i], k, env.max_steps, see) for k in keys]
            np.testing.assert_allclose(fitness[i], np.mean([r[0] for r in runs]), rtol=1e-4)
            seen += [r[3] for r in runs]
        state = problem.update(state, sums)
    seen = np.concatenate(seen).astype(np.float64)
    flat = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
    assert int(state.normalizer.count) == len(seen) == int(state.steps)
    np.testing.assert_allclose(flat(state.normalizer.mean), seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(flat(norm.deviation(state.normalizer)), np.maximum(seen.std(0), 0.1), rtol=1e-4)


def test_off():
    env, policy = clock(), linear()
    problem = rl.rollout(env, policy, normalize=False)
    state = problem.init(jax.random.key(0))
    assert state.normalizer is None
    es = jaxes.open_es(4, 0.1)
    (_, after), _ = jax.jit(jaxes.generation(es, problem))((es.init(jax.random.key(0), jnp.zeros(2)), state))
    assert after.normalizer is None and int(after.steps) > 0


# --- numbers that are too large -------------------------------------------------------------------------------------

HUGE = [1e6, 1e15, -1e25, 3e38, np.inf, np.nan]


@pytest.mark.parametrize("when", [0, 2])
@pytest.mark.parametrize("size", HUGE)
def test_a_huge_number_is_left_out_and_counted(size, when):
    """In the first generation, when nothing is known of their size, and later."""
    x, mask = data()
    want = streamed(x, mask & ~((np.arange(4)[:, None, None] == when) & (np.arange(LANES) == 5)))
    x[when, :, 5, 1] = size
    got = streamed(x, mask)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got._replace(reach=want.reach), want)
    assert (got.reach > norm.REACH) == (size == 1e6), "what is impossible changes nothing"


@pytest.mark.parametrize("size", [1e6, 1e12, 1e25])
def test_a_huge_first_observation_is_left_out_too(size):
    """The center must not be what it is there to find."""
    new = norm.init(jax.ShapeDtypeStruct((1,), jnp.float32))
    rng = np.random.default_rng(0)
    for _ in range(3):  # each begins with it, as an environment does whose reset gives it
        x = rng.normal(2.0, 3.0, size=(200, 1)).astype(np.float32)
        x[0] = size
        moments = norm.around(norm.no_moments(new), new, jnp.asarray(x[0]))
        moments = norm.observe(new, moments, jnp.asarray(x), jnp.ones(200, bool))
        assert int(moments.invalid) == 1
        new = norm.update(new, moments)
    assert float(new.count) == 3 * 199
    np.testing.assert_allclose(new.mean, [2.0], atol=0.4)
    np.testing.assert_allclose(norm.deviation(new), [3.0], atol=0.3)


def test_what_is_left_out_is_counted():
    start = norm.init(jax.ShapeDtypeStruct((1,), jnp.float32))
    seen = jnp.array([[0.5], [1e15], [5e4], [jnp.nan], [-jnp.inf], [1e12]])
    sums = norm.observe(start, norm.no_moments(start), seen, jnp.array([True] * 5 + [False]))
    assert (int(sums.count), int(sums.invalid)) == (1, 4) and sums.counts.tolist() == [1, 4, 1]


def generations(values, reach=norm.REACH):
    """The normalizers after generations of observations [g, k] of one number, the first of which is 0."""
    normalizer, out = norm.init(jax.ShapeDtypeStruct((1,), jnp.float32))._replace(reach=jnp.float32(reach)), []
    once = jax.jit(
        lambda n, x: norm.update(n, norm.observe(n, norm.around(norm.no_moments(n), n, x[0] * 0), x, x[:, 0] < jnp.inf))
    )
    for x in values:
        normalizer = once(normalizer, jnp.asarray(x, jnp.float32)[:, None])
        out.append(normalizer)
    return out


@pytest.mark.parametrize(("size", "every", "left_out"), [(8e3, 1, 1), (8e5, 1, 3), (-8e5, 16, 5), (3e9, 3, 7)])
def test_what_comes_again_and_again_is_taken_in_the_end(size, every, left_out):
    """A number of a thousand is large in every generation, or in every third or sixteenth of them."""
    values = np.random.default_rng(0).normal(size=(200, 1000))
    values[::every, 500] = size
    got = generations(values)
    large = -(-200 // every)
    assert int(got[-1].count) == 200 * 1000 - left_out
    share = (large - left_out) / (200 * 1000 - left_out)
    np.testing.assert_allclose(got[-1].mean, [share * size], rtol=1e-2)
    np.testing.assert_allclose(norm.deviation(got[-1]), [share**0.5 * abs(size)], rtol=1e-2)


@pytest.mark.parametrize(("size", "every"), [(1e25, 1), (1e14, 1), (1e8, 100)])
def test_what_is_impossible_or_rare_is_never_taken(size, every):
    values = np.random.default_rng(0).normal(size=(200, 1000))
    values[::every, 500] = size
    got = generations(values)[-1]
    assert int(got.count) == 200 * 1000 - -(-200 // every)
    assert abs(float(got.mean[0])) < 0.01 and abs(float(norm.deviation(got)[0]) - 1) < 0.01


@pytest.mark.parametrize("preset", list(norm.PRESETS))
@pytest.mark.parametrize("scale", [3e4, 1e9, 1e12])
def test_a_world_that_is_large_is_seen_after_some_generations(scale, preset):
    """The first observation is 0, so that nothing tells how large the others are."""
    normalizer = norm.init(jax.ShapeDtypeStruct((1,), jnp.float32), preset)
    seen = jnp.asarray(np.random.default_rng(0).uniform(1, 2, (6, 1000, 1)) * scale, jnp.float32)
    for x in seen:
        start = norm.around(norm.no_moments(normalizer), normalizer, jnp.zeros(1))
        normalizer = norm.update(normalizer, norm.observe(normalizer, start, x, jnp.ones(1000, bool)))
    np.testing.assert_allclose(normalizer.mean, 1.5 * scale, rtol=0.02)
    np.testing.assert_allclose(norm.deviation(normalizer), scale / 12**0.5, rtol=0.2)
    calm = norm.no_moments(normalizer)._replace(counts=jnp.array([1000, 0, 0], jnp.uint32))
    later = jax.lax.fori_loop(0, 500, lambda _, n: norm.update(n, calm._replace(center=n.mean)), normalizer)
    assert later.reach == norm.REACH
    assert np.abs(norm.normalize(normalizer, seen[0, 0])) < 3


def test_no_limit_cuts_through_numbers_that_are_far_from_0():
    """Whatever the first observation is; one column far, others not; float32 itself is coarse there."""
    offsets = [1, 999, 1e3, 1010, 3e4, 1e6, -1e6, 1e7, 1e9, -1e9, 3e9, 1e10, 1e12, -1e12]
    generations, count = 20, 500

    @jax.jit
    def seen(rows):  # [generations, count, 3]
        def one(normalizer, x):
            moments = norm.around(norm.no_moments(normalizer), normalizer, x[0])
            moments = norm.observe(normalizer, moments, x, jnp.ones(count, bool))
            return norm.update(normalizer, moments), moments.invalid

        return jax.lax.scan(one, norm.init(jax.ShapeDtypeStruct((3,), jnp.float32)), rows)

    for seed in range(3):
        for offset in offsets:
            rows = np.random.default_rng(seed).normal(size=(generations, count, 3))
            rows[..., 1] = offset + 100 * rows[..., 1]
            rows = rows.astype(np.float32)
            normalizer, left_out = seen(rows)
            taken = rows[np.asarray(left_out) == 0].astype(float)
            case = f"offset {offset:g}, seed {seed}"
            assert set(left_out.tolist()) <= {0, count} and len(taken) >= generations - 4, case
            assert int(normalizer.count) == len(taken) * count, case
            true = np.maximum(taken.reshape(-1, 3).std(0), 0.1)
            np.testing.assert_allclose(norm.deviation(normalizer), true, rtol=0.01, err_msg=case)
            assert abs(float(normalizer.mean[1]) - taken[..., 1].mean()) <= max(
                1, np.spacing(np.float32(abs(offset)))
            ), case
    rows[..., 1] = 1e25
    normalizer, left_out = seen(rows)
    assert float(normalizer.count) == 0 and left_out.tolist() == [count] * generations


def test_sums_of_squares_do_not_overflow():
    """10^12 observations as far away as they may be."""
    normalizer = norm.init(jax.ShapeDtypeStruct((1,), jnp.float32))._replace(reach=jnp.float32(norm.FARTHEST))
    many = jnp.broadcast_to(jnp.array([[norm.FARTHEST], [-norm.FARTHEST]]), (2, 1))
    sums = norm.observe(normalizer, norm.no_moments(normalizer), many, jnp.ones(2, bool))
    assert int(sums.count) == 2
    large = sums._replace(
        counts=jnp.array([2**32 - 1, 0, 0], jnp.uint32), squares=sums.squares * 2.0**31, total=sums.total * 0
    )
    for _ in range(230):
        normalizer = norm.update(normalizer, large)
    assert normalizer.count > 9e11
    np.testing.assert_allclose(norm.deviation(normalizer), norm.FARTHEST, rtol=1e-3)


@pytest.mark.parametrize("preset", list(norm.PRESETS))
@pytest.mark.parametrize("size", HUGE[:-1])
def test_a_policy_is_given_finite_numbers(size, preset):
    start = norm.init(jax.ShapeDtypeStruct((2,), jnp.float32), preset)
    got = norm.normalize(start, jnp.array([size, 0.5]))
    assert np.isfinite(got).all() and got[1] == 0.5 and np.sign(got[0]) == np.sign(size)


def spiky(size, share=0.02):
    """`toys.chase`, where one observation in fifty has a number of this size."""
    env = chase()

    def hurt(state, key):
        bad = jax.random.uniform(key) < share
        seen = jnp.where(bad, state.observation.at[0].set(size), state.observation)
        return state._replace(physics=(state.physics, key), observation=seen)

    def step(state, action):
        physics, key = state.physics
        return hurt(env.step(state._replace(physics=physics), action), jax.random.fold_in(key, 2))

    return env._replace(reset=lambda key: hurt(env.reset(key), jax.random.fold_in(key, 1)), step=step)


@pytest.mark.parametrize("size", [1e15, -1e25])
def test_a_policy_learns_in_spite_of_huge_observations(size):
    env = spiky(size)
    policy, strategy = rl.mlp(env, (8,)), jaxes.open_es(64, 0.1, learning_rate=0.05)
    problem = rl.rollout(env, policy, seeds="generation", episodes=4)
    carry = strategy.init(jax.random.key(1), policy.init(jax.random.key(0))), problem.init(jax.random.key(2))
    many = jax.jit(lambda carry: jax.lax.scan(lambda c, _: jaxes.generation(strategy, problem)(c), carry, length=40))
    (state, played_so_far), infos = many(carry)
    assert not infos.invalid.any()
    score = jax.jit(rl.evaluation(chase(), policy, episodes=64))
    clean = score(strategy.recommend(state), played_so_far.normalizer, jax.random.key(5))
    assert clean.returns.mean() > 18.5, "19.3 where nothing is huge"
    assert 0.01 < int(played_so_far.invalid_observations) / int(played_so_far.steps) < 0.03
