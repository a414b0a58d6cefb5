"""Strategies against plain NumPy doing the same with the same noise, and what their options promise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxes
from jaxes import shaping
from jaxes.noise import gaussian

KEY = jax.random.key(3)
SLOPE = np.array([1.0, 3.0, 0.3, 10.0], np.float64)
START = np.array([1.0, -0.5, 0.2, 0.8], np.float64)


def objective(x):
    return -(SLOPE * x**2).sum()


def normals(key, step, units):
    """float64[units, n]: the noise of a generation, as NumPy."""
    return np.asarray(gaussian().sample(jax.random.fold_in(key, step), jnp.arange(units), jnp.asarray(START)))


def centered(fitness):
    return np.argsort(np.argsort(fitness)) / (len(fitness) - 1) - 0.5


def utilities(fitness):
    n = len(fitness)
    place = n - np.argsort(np.argsort(fitness))
    raw = np.maximum(0, np.log(n / 2 + 1) - np.log(place))
    return raw / raw.sum() - 1 / n


def elite(fitness, k):
    weights = np.zeros(len(fitness))
    weights[np.argsort(-fitness)[:k]] = 1 / k
    return weights


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def compare(strategy, update, start, generations, rtol=1e-9):
    """Run both on the same objective in f64; `update(carry, t, members, fitness) -> carry` begins (mean, sigma)."""
    state = strategy.init(KEY, jnp.asarray(START))
    carry = (START, *start)
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    for t in range(generations):
        members = np.asarray(ask(state))
        fitness = np.asarray(jax.vmap(objective)(members))
        carry = update(carry, t, members, fitness)
        state, _ = tell(state, fitness)
        np.testing.assert_allclose(state.mean, carry[0], rtol=rtol, atol=1e-12)
        np.testing.assert_allclose(np.broadcast_to(state.sigma, np.shape(carry[1])), carry[1], rtol=rtol, atol=1e-12)
    return state, carry


@pytest.mark.parametrize("antithetic", [True, False])
def test_open_es(antithetic, x64):
    n, sigma, rate = 16, 0.1, 0.05

    def update(carry, t, members, fitness):
        mean, sigma, m, v = carry
        z = normals(KEY, t, n // 2 if antithetic else n)
        z = np.repeat(z, 2, axis=0) * np.tile([1, -1], n // 2)[:, None] if antithetic else z
        np.testing.assert_allclose(members, mean + sigma * z, rtol=1e-9, atol=1e-12)
        gradient = -(centered(fitness) @ z) / (n * sigma)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        step = (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        return mean - rate * step, sigma, m, v

    strategy = jaxes.open_es(n, sigma, learning_rate=rate, antithetic=antithetic)
    compare(strategy, update, (sigma, np.zeros(4), np.zeros(4)), 100)


def test_simple_es(x64):
    n, k = 12, 3

    def update(carry, t, members, fitness):
        mean, sigma = carry
        best = (mean + sigma * normals(KEY, t, n))[elite(fitness, k) > 0]
        return best.mean(0), np.sqrt(((best - mean) ** 2).mean())

    compare(jaxes.simple_es(n, 0.3, elite_fraction=0.25), update, (0.3,), 12)


def test_nes(x64):
    n, rate, sigma_rate = 12, 0.8, 0.4

    def update(carry, t, members, fitness):
        mean, sigma = carry
        z, u = normals(KEY, t, n), utilities(fitness)
        slope = u @ ((z**2).mean(1) - 1) / 2
        return mean + rate * sigma * (u @ z), sigma * np.exp(sigma_rate * slope)

    compare(jaxes.nes(n, 0.3, learning_rate=rate, sigma_learning_rate=sigma_rate), update, (0.3,), 30)


def test_nes_is_the_natural_gradient():
    """F^-1 grad log p, with the Fisher matrix estimated from the log-likelihood's own gradients."""
    n, sigma = 3, 0.7
    log_density = lambda mean, s, x: -jnp.sum((x - mean) ** 2) / (2 * s**2) - n * jnp.log(s)
    gradient = jax.vmap(jax.grad(log_density, (0, 1)), (None, None, 0))
    x = sigma * jax.random.normal(KEY, (200_000, n))
    by_mean, by_sigma = gradient(jnp.zeros(n), jnp.float32(sigma), x)
    scores = np.column_stack([by_mean, by_sigma])
    fisher = scores.T @ scores / len(scores)
    np.testing.assert_allclose(fisher, np.diag([1 / sigma**2] * n + [2 * n / sigma**2]), atol=0.15)
    z = np.asarray(x) / sigma
    natural = np.column_stack([sigma * z, sigma * ((z**2).mean(1) - 1) / 2])
    exact = scores[:100] @ np.linalg.inv(np.diag([1 / sigma**2] * n + [2 * n / sigma**2]))
    np.testing.assert_allclose(natural[:100], exact, rtol=1e-3, atol=1e-4)


def test_snes(x64):
    n = 12
    rate = (3 + np.log(4)) / (5 * np.sqrt(4))

    def update(carry, t, members, fitness):
        mean, sigma = carry
        z, u = normals(KEY, t, n), utilities(fitness)
        return mean + sigma * (u @ z), sigma * np.exp(rate / 2 * (u @ (z**2 - 1)))

    compare(jaxes.snes(n, 0.3), update, (np.full(4, 0.3),), 30)


@pytest.mark.parametrize(
    "noise",
    [0.0, 0.04, lambda t: jnp.maximum(0.05 - jnp.asarray(t, float) / 200, 0)],
    ids=["none", "constant", "linear"],
)
def test_cem(noise, x64):
    n, k = 20, 5

    def update(carry, t, members, fitness):
        mean, sigma = carry
        best = (mean + sigma * normals(KEY, t, n))[elite(fitness, k) > 0]
        added = float(noise(t)) if callable(noise) else noise
        return best.mean(0), np.sqrt(best.var(0) + added)

    compare(jaxes.cem(n, 0.3, elite_fraction=0.25, variance_noise=noise), update, (np.full(4, 0.3),), 12, rtol=1e-6)


def test_cem_of_one_elite_keeps_the_noise():
    strategy = jaxes.cem(10, 1.0, elite_fraction=0.1, variance_noise=4.0)
    state, _ = strategy.tell(strategy.init(KEY, jnp.zeros(3)), jnp.arange(10.0))
    np.testing.assert_allclose(state.sigma, 2.0, rtol=1e-4)


def test_cem_of_clipped_members(x64):
    """The elite of the clipped members is fitted (PlaNet), with momentum and a least standard deviation (iCEM)."""
    n, k, low, high = 20, 5, np.array([0.1, -0.4, -1.0, 0.0]), 0.9

    def update(carry, t, members, fitness):
        mean, sigma = carry
        clipped = np.clip(mean + sigma * normals(KEY, t, n), low, high)
        np.testing.assert_allclose(members, clipped, rtol=1e-6)
        best = clipped[elite(fitness, k) > 0]
        return 0.3 * mean + 0.7 * best.mean(0), np.maximum(0.3 * sigma + 0.7 * best.std(0), 0.05)

    options = {"low": low, "high": high, "momentum": 0.3, "minimum_sigma": 0.05}
    compare(jaxes.cem(n, 0.3, elite_fraction=0.25, **options), update, (np.full(4, 0.3),), 12, rtol=1e-6)


def test_cem_elites_come_again(x64):
    n, k, again = 12, 6, 3
    strategy = jaxes.cem(n, 0.3, elite_fraction=0.5, kept_fraction=0.5)
    state = strategy.init(KEY, jnp.asarray(START))
    np.testing.assert_allclose(strategy.ask(state)[-again:], np.tile(START, (again, 1)))
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    kept = np.tile(START, (again, 1))
    for t in range(4):
        drawn = np.asarray(state.mean) + np.asarray(state.sigma) * normals(KEY, t, n)
        members = np.concatenate([drawn[:-again], kept])
        np.testing.assert_allclose(ask(state), members, rtol=1e-6)
        np.testing.assert_allclose(ask(state, jnp.array([n - 1, 0])), members[[-1, 0]], rtol=1e-6)
        fitness = np.array([objective(x) for x in members])
        fitness[0] = np.nan if t == 1 else fitness[0]
        order = np.argsort(-np.nan_to_num(fitness, nan=-np.inf))
        state, _ = tell(state, fitness)
        kept = members[order[:again]]
        np.testing.assert_allclose(state.kept, kept, rtol=1e-6)
        if len(set(fitness[order[: k + 1]])) == k + 1:  # no tie at the border
            np.testing.assert_allclose(state.mean, members[order[:k]].mean(0), rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"low": 1.0, "high": 0.0}, "low must be below high, got 1 and 0 for params"),
        ({"low": jnp.zeros(3)}, "low must be a number, or a prefix of the parameters' tree whose shapes fit"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"kept_fraction": -0.1}, r"kept_fraction must be a number in \[0, 1\], got -0.1"),
    ],
)
def test_cem_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        jaxes.cem(8, **options).init(KEY, jnp.zeros(2))


def test_cem_with_other_weights_and_noise():
    strategy = jaxes.cem(6, 0.5, weights=shaping.boltzmann(2.0), noise=jaxes.noise.rademacher())
    state = strategy.init(KEY, jnp.asarray(START))
    members, fitness = np.asarray(strategy.ask(state)), np.arange(6.0)
    np.testing.assert_allclose(np.abs(members - START), 0.5, rtol=1e-5)
    state, _ = strategy.tell(state, fitness)
    shares = np.exp(fitness / 2) / np.exp(fitness / 2).sum()
    np.testing.assert_allclose(state.mean, shares @ members, rtol=1e-5)
    np.testing.assert_allclose(state.sigma**2, shares @ members**2 - (shares @ members) ** 2, rtol=1e-4, atol=1e-6)
    low = jaxes.cem(6, noise=jaxes.noise.low_rank())
    with pytest.raises(ValueError, match="noise must be dense for cem"):
        low.ask(low.init(KEY, jnp.zeros((2, 2))))


def test_simple_es_sigma_has_no_drift():
    """A fitness that says nothing leaves the expectation of sigma^2 as it was."""
    strategy = jaxes.simple_es(8, 1.0)

    def once(key):
        state = strategy.init(key, jnp.zeros(3))
        return strategy.tell(state, jax.random.normal(jax.random.fold_in(key, 1), (8,)))[0].sigma ** 2

    squares = np.asarray(jax.jit(jax.vmap(once))(jax.random.split(KEY, 4000)))
    assert abs(squares.mean() - 1) < 3 * squares.std() / np.sqrt(len(squares))


# What open_es does with optax.

PARAMS = {"body": {"w": jnp.ones((2, 2)), "b": jnp.zeros(2)}, "head": jnp.ones(3)}


def told(params=PARAMS, numbers=None, **options):
    strategy = jaxes.open_es(8, 0.1, **options)
    state = strategy.init(KEY, params, **(numbers or {}))
    fitness = jax.random.normal(jax.random.key(1), (8,))
    return strategy.tell(state, fitness)[0]


def moved(state, params=PARAMS):
    return jax.tree.map(lambda a, b: np.asarray(a - b), state.mean, params)


def test_masked():
    state = told(tx=optax.chain(optax.sgd(1.0), optax.masked(optax.set_to_zero(), {"body": True, "head": False})))
    change = moved(state)
    assert all(np.all(x == 0) for x in jax.tree.leaves(change["body"])) and np.all(change["head"] != 0)


def test_multi_transform():
    both = moved(
        told(
            tx=optax.multi_transform({"slow": optax.sgd(0.1), "fast": optax.sgd(1.0)}, {"body": "slow", "head": "fast"})
        )
    )
    plain = moved(told(tx=optax.sgd(1.0)))
    np.testing.assert_allclose(both["head"], plain["head"], rtol=1e-5)
    np.testing.assert_allclose(both["body"]["w"], 0.1 * plain["body"]["w"], rtol=1e-4, atol=1e-7)


def test_decoupled_weight_decay():
    """mean * (1 - learning_rate * weight_decay) + the update without decay."""
    plain, decayed = told(learning_rate=0.05), told(learning_rate=0.05, weight_decay=0.2)
    for a, b, p in zip(*map(jax.tree.leaves, (plain.mean, decayed.mean, PARAMS)), strict=True):
        np.testing.assert_allclose(b, a - 0.05 * 0.2 * p, rtol=1e-6, atol=1e-7)


def test_l2_weight_decay():
    """With plain sgd the two forms agree; with Adam, l2 goes through the moments."""
    sgd = lambda decay: told(tx=optax.sgd(1.0), learning_rate=0.1, weight_decay=0.2, decay=decay).mean
    for a, b in zip(*map(jax.tree.leaves, (sgd("l2"), sgd("decoupled"))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    plain, decayed = told(tx=optax.sgd(1.0)), told(weight_decay=0.2, decay="l2", learning_rate=0.05)
    for g, a, p in zip(*map(jax.tree.leaves, (moved(plain), decayed.mean, PARAMS)), strict=True):
        gradient = -g + 0.2 * np.asarray(p)  # Adam's first step has length learning_rate, whatever the gradient's
        np.testing.assert_allclose(a, p - 0.05 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-5, atol=1e-6)


def test_inject_hyperparams_sweeps_without_recompiling():
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    strategy = jaxes.open_es(8, 0.1, tx=tx)
    state = strategy.init(KEY, PARAMS)
    tell = jax.jit(strategy.tell)
    fitness = jnp.arange(8.0)
    changes = []
    for rate in (0.1, 0.2):
        state.optimizer.hyperparams["learning_rate"] = jnp.float32(rate)
        changes.append(moved(tell(state, fitness)[0])["head"])
    np.testing.assert_allclose(changes[1], 2 * changes[0], rtol=1e-4)
    assert tell._cache_size() == 1


def test_learning_rate_scales_the_update():
    one, half = moved(told(tx=optax.sgd(1.0))), moved(told(tx=optax.sgd(1.0), numbers={"learning_rate": 0.5}))
    np.testing.assert_allclose(half["head"], 0.5 * one["head"], rtol=1e-4)


def test_shapings_in_open_es():
    for make in (*shaping.SHAPINGS.values(), lambda: shaping.top(3)):
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(told(shaping=make()).mean))


def test_nes_and_snes_take_shapings():
    for factory in (jaxes.nes, jaxes.snes):
        strategy = factory(8, 0.1, shaping=shaping.centered_rank())
        state, _ = strategy.tell(strategy.init(KEY, PARAMS), jnp.arange(8.0))
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(state.mean))


@pytest.mark.parametrize("name", jaxes.STRATEGIES)
def test_the_same_settings_give_the_same_strategy(name):
    """So `jit` compiles nothing for a second instance."""
    required = {"unrolls": 2} if name in ("pes", "nres") else {}
    make = lambda size: jaxes.STRATEGIES[name](size, 0.25, **required)
    assert make(24) is make(24)
    assert make(24) is not make(48)


def test_settings_that_cannot_be_hashed_are_no_obstacle():
    strategy = jaxes.snes(8, jnp.float32(0.25))
    assert strategy.init(jax.random.key(0), jnp.zeros(2)).sigma[0] == 0.25


@pytest.mark.parametrize(
    ("invalid", "expected"),
    [
        ([], [1, -0.4, 0.6]),
        ([5], [1, -0.4, 0.2]),  # its weight: from the valid ones' mean of 0.08 a sixth of the way to -0.4, so 0
        ([1, 2, 3, 4, 5], [5 / 6, -1 / 3, 1 / 2]),  # from 0.5 five sixths of the way
    ],
)
def test_pulls_of_pairs_with_invalid_members(invalid, expected):
    weights = jnp.array([0.5, -0.5, -0.1, 0.3, 0.2, -0.4])
    fitness = np.arange(6.0)
    fitness[invalid] = np.nan
    np.testing.assert_allclose(jaxes.strategy.pulls(weights, jnp.asarray(fitness)), expected, rtol=1e-6)
