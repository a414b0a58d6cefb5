"""Perturbations: moments, independence of the order of asking, masks, and the gradients that they estimate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxes
from jaxes import Block, noise

LIKE = {"w": jnp.linspace(-1, 1, 6).reshape(2, 3), "b": jnp.zeros(2), "c": jnp.ones(())}
N = 9
MASK = {"w": True, "b": jnp.array([True, False]), "c": False}
KINDS = {
    "gaussian": noise.gaussian(),
    "rademacher": noise.rademacher(),
    "table": noise.table(2**20),
    "orthogonal": noise.orthogonal(4),
    "mask": noise.subset(MASK),
    "fraction": noise.subset(0.5),
    "fraction of signs": noise.subset(0.25, noise.rademacher()),
}
every = pytest.mark.parametrize("kind", KINDS)
KEY = jax.random.key(5)


def flat(tree):
    return np.concatenate([np.asarray(x).reshape(len(x), -1) for x in jax.tree.leaves(tree)], axis=1)


def free():
    """Which of the coordinates the mask lets the search change."""
    masks = jax.tree.map(lambda m, x: jnp.broadcast_to(m, x.shape)[None], MASK, LIKE)
    return flat(masks)[0]


@every
def test_moments(kind):
    count = 4096
    z = flat(jax.jit(lambda: KINDS[kind].sample(KEY, Block(0, count), LIKE))())
    size = {"mask": free().astype(float), "fraction": 0.5, "fraction of signs": 0.25}.get(kind, 1.0) * np.ones(N)
    assert np.all(np.abs(z.mean(0)) < 5 * np.sqrt(size / count) + 1e-12)
    covariance = z.T @ z / count
    # The table's slices overlap, so it has its own, larger scatter around the exact moments.
    np.testing.assert_allclose(covariance, np.diag(size), atol=0.15 if kind != "table" else 0.2)


@every
def test_any_order_of_asking(kind):
    draw = jax.jit(lambda units: KINDS[kind].sample(KEY, units, LIKE))
    whole = flat(draw(Block(0, 8)))
    np.testing.assert_allclose(flat(draw(jnp.arange(8))), whole, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(flat(draw(jnp.array([6, 1, 1]))), whole[[6, 1, 1]], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(flat(draw(Block(4, 4))), whole[4:], rtol=1e-6, atol=1e-6)


@every
def test_dtypes_and_perturb(kind):
    like = jax.tree.map(lambda x: x.astype(jnp.bfloat16), LIKE)
    z = KINDS[kind].sample(KEY, jnp.arange(3), like)
    assert jax.tree.map(lambda x: (x.shape[1:], x.dtype), z) == jax.tree.map(lambda x: (x.shape, x.dtype), like)
    one = jax.tree.map(lambda x: x[0], KINDS[kind].sample(KEY, jnp.arange(3), LIKE))
    member = KINDS[kind].perturb(LIKE, jnp.float32(0.5), one)
    for x, e, m in zip(*map(jax.tree.leaves, (LIKE, one, member)), strict=True):
        np.testing.assert_allclose(m, x + 0.5 * e, rtol=1e-6)


def test_orthogonal():
    z = flat(noise.orthogonal(4).sample(KEY, Block(0, 8), LIKE))
    gram = z @ z.T
    for group in (gram[:4, :4], gram[4:, 4:]):
        np.testing.assert_allclose(group - np.diag(np.diag(group)), 0, atol=1e-4)
    assert np.abs(gram[:4, 4:]).max() > 0.1
    with pytest.raises(ValueError, match="group must be 2 or more, got 1"):
        noise.orthogonal(1)
    with pytest.raises(ValueError, match="at most the number of parameters 9, got 10"):
        noise.orthogonal(10).sample(KEY, jnp.arange(2), LIKE)


def test_table():
    shared = noise.table(64, seed=3)
    numbers = np.random.RandomState(3).randn(64).astype(np.float32)
    z = flat(shared.sample(KEY, jnp.arange(20), LIKE))
    for row in z:
        assert any(np.array_equal(row, numbers[i : i + N]) for i in range(64 - N + 1))
    with pytest.raises(ValueError, match="at least the number of parameters 9, got 8"):
        noise.table(8).sample(KEY, jnp.arange(2), LIKE)
    with pytest.raises(ValueError, match="size must be 1 or more"):
        noise.table(0)


def test_mask_never_moves_the_rest():
    """Frozen parameters keep their bits through asks and generations."""
    strategy = jaxes.open_es(8, 0.1, noise=noise.subset(MASK), learning_rate=0.1)
    state = strategy.init(KEY, LIKE)
    members = flat(strategy.ask(state))
    start = flat(jax.tree.map(lambda x: x[None], LIKE))[0]
    objective = lambda p: -sum(jnp.sum((x - 3) ** 2) for x in jax.tree.leaves(p))
    state, _ = jaxes.run(strategy, objective, state, generations=20)
    end = flat(jax.tree.map(lambda x: x[None], state.mean))[0]
    np.testing.assert_array_equal(members[:, ~free()], np.broadcast_to(start[~free()], (8, (~free()).sum())))
    np.testing.assert_array_equal(end[~free()], start[~free()])
    assert np.all(end[free()] != start[free()])


def test_fraction():
    z = flat(noise.subset(0.25).sample(KEY, Block(0, 2000), LIKE))
    assert abs((z != 0).mean() - 0.25) < 0.02


def test_bad_subset():
    for which in (0.0, 1.5, -1):
        with pytest.raises(ValueError, match="which must be a fraction in"):
            noise.subset(which)
    with pytest.raises(TypeError, match="tree of booleans, got a leaf of"):
        noise.subset({"w": 1.0})
    with pytest.raises(ValueError, match="prefix of the parameters' tree"):
        noise.subset({"w": True}).sample(KEY, jnp.arange(2), LIKE)


def linear(p):
    return 2 * jnp.sum(p["w"] * jnp.arange(6.0).reshape(2, 3)) - 3 * p["b"][0] + p["b"][1] + 0.5 * p["c"]


def quadratic(p):
    x = jnp.concatenate([p["b"], p["w"].ravel(), p["c"][None]])
    skew = jnp.sin(jnp.arange(81.0)).reshape(9, 9) / 3
    return -x @ (skew @ skew.T) @ x + linear(p)


def unbiased(estimates, exact, kind):
    estimates, exact = flat(estimates), flat(jax.tree.map(lambda x: x[None], exact))[0]
    if kind == "mask":
        assert np.all(estimates[:, ~free()] == 0)
        estimates, exact = estimates[:, free()], exact[free()]
    error = estimates.std(0, ddof=1) / np.sqrt(len(estimates))
    # Along the gradient within three standard errors; all coordinates together as far as chi^2 lets them be off once in
    # some hundred tests (4 of its standard deviations).
    along = estimates @ exact / np.linalg.norm(exact)
    assert abs(along.mean() - np.linalg.norm(exact)) < 3 * along.std(ddof=1) / np.sqrt(len(along))
    n = len(exact)
    assert np.sum(((estimates.mean(0) - exact) / error) ** 2) < n + 4 * np.sqrt(2 * n), (
        estimates.mean(0) - exact
    ) / error


@every
@pytest.mark.parametrize("objective", [linear, quadratic])
def test_open_es_gradient_is_unbiased(kind, objective):
    """With sgd(1) and the fitness itself for weights, the mean moves by the estimate of the gradient."""
    strategy = jaxes.open_es(32, 0.1, noise=KINDS[kind], tx=optax.sgd(1.0), shaping=jaxes.shaping.identity())

    def estimate(key):
        state = strategy.init(key, LIKE)
        told, _ = strategy.tell(state, jax.vmap(objective)(strategy.ask(state)))
        return jax.tree.map(jnp.subtract, told.mean, LIKE)

    estimates = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(11), 1000))
    unbiased(estimates, jax.grad(objective)(LIKE), kind)


@every
@pytest.mark.parametrize("objective", [linear, quadratic])
def test_es_value_and_grad_is_unbiased(kind, objective):
    estimate = jaxes.es_value_and_grad(objective, sigma=0.1, population_size=32, noise=KINDS[kind], blocks=2)
    keys = jax.random.split(jax.random.key(12), 1000)
    values, estimates = jax.jit(jax.vmap(lambda key: estimate(LIKE, key)))(keys)
    unbiased(estimates, jax.grad(objective)(LIKE), kind)
    assert abs(float(values.mean() - objective(LIKE))) < 0.1


def test_es_value_and_grad():
    estimate = jaxes.es_value_and_grad(linear, sigma=0.1, population_size=16)
    value, gradient = jax.jit(estimate)(LIKE, KEY)
    assert value.shape == () and jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, LIKE)
    other, same = jaxes.es_value_and_grad(linear, sigma=0.1, population_size=16, blocks=4)(LIKE, KEY)
    np.testing.assert_allclose(value, other, rtol=1e-5)
    np.testing.assert_allclose(
        flat(jax.tree.map(lambda x: x[None], gradient)), flat(jax.tree.map(lambda x: x[None], same)), rtol=1e-4
    )
    with pytest.raises(ValueError, match="population_size must be even"):
        jaxes.es_value_and_grad(linear, population_size=7)
    with pytest.raises(ValueError, match="sigma must be above 0"):
        jaxes.es_value_and_grad(linear, sigma=0.0)
    with pytest.raises(TypeError, match="typed random key"):
        estimate(LIKE, 0)


def ring(size, exponent):
    """The covariance of colored noise from its power at each frequency, term by term."""
    power = [max(min(k, size - k), 1) ** -exponent for k in range(size)]
    at = lambda lag: sum(p * np.cos(2 * np.pi * k * lag / size) for k, p in enumerate(power)) / sum(power)
    return np.array([[at(i - j) for j in range(size)] for i in range(size)])


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_colored(exponent):
    """Its covariance along time, none between the other axes, variance 1, and unbiased sums."""
    like, count, kind = jnp.zeros((6, 2)), 20_000, noise.colored(exponent)
    z = kind.sample(KEY, Block(0, count), like)
    wanted = np.kron(ring(6, exponent), np.eye(2))
    assert np.allclose(np.diag(wanted), 1) and (exponent > 0) == (wanted[0, 2] > 0.1)
    np.testing.assert_allclose(flat(z).T @ flat(z) / count, wanted, atol=0.04)
    gradient = jnp.linspace(-1, 1, 12).reshape(6, 2)
    weights = jnp.einsum("kij,ij->k", z, gradient) / count
    np.testing.assert_allclose(kind.combine(weights, z), gradient, atol=0.1 if exponent < 2 else 0.3)
    np.testing.assert_allclose(kind.sample(KEY, jnp.array([7]), like)[0], z[7], atol=1e-6)


def test_colored_noise_needs_time():
    with pytest.raises(ValueError, match=r"params\['c'\] must have an axis of time for colored noise"):
        noise.colored().sample(KEY, jnp.arange(2), LIKE)
    with pytest.raises(ValueError, match="exponent must be a number of 0 or more, got -1"):
        noise.colored(-1)
