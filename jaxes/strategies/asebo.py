"""Adaptive ES-active subspaces: search along past gradients, or across them, with a learned probability.

Choromanski, Pacchiano, Parker-Holder, Tang, Sindhwani: "From Complexity to Simplicity: Adaptive ES-Active Subspaces for
Blackbox Optimization", NeurIPS 2019, arXiv:1903.04268, Algorithms 1 and 2.

Three things differ from the paper's pseudo-code. The population has a fixed size, where the paper has one pair for
every active direction. Algorithm 2 runs on the pairs of the generation itself, all at once, instead of on further
evaluations; it is given differences divided by their root mean square, so that the scale of the fitness does not
matter. And only the `subspace` largest axes of the gradients' covariance are kept, instead of n x n numbers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.noise import gaussian
from jaxes.schedules import Number
from jaxes.shaping import Shaping, identity, shaped, shaping_of
from jaxes.strategies.parts import flat
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.flat import by_chunks
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.subspaces import active_basis, largest_axes
from jaxes.strategies.parts.weights import pulls
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks, keys, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    axes: jax.Array  # float[k, n]: orthogonal rows, longest first; axes^T axes is the gradients' covariance
    basis: jax.Array  # float[k, n]: the active axes as unit vectors, zero for the others
    logit: jax.Array  # float[]: logit of q, which the probability of the active subspace comes from
    sigma: jax.Array  # float[]: standard deviation of the perturbations
    warmup: jax.Array  # float[]: generations without a subspace (the paper's l)
    threshold: jax.Array  # float[]: part of the variance that makes a direction active (epsilon)
    covariance_decay: jax.Array  # float[]: lambda
    probability_rate: jax.Array  # float[]: alpha
    probability_floor: jax.Array  # float[]: beta
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx


@strategy_factory
def asebo(
    population_size: int,
    sigma: Number = 0.1,
    *,
    subspace: int | None = None,
    warmup: Number = 10.0,
    threshold: Number = 0.995,
    covariance_decay: Number = 0.99,
    probability_rate: Number = 0.01,
    probability_floor: Number = 0.1,
    learning_rate: Number | None = None,
    tx: Optimizer | None = None,
    shaping: Shaping | str | None = None,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """Adaptive ES-active subspaces.

    Perturbations lie in the active subspace, of dimension r, with probability p, and in its complement otherwise; in
    both cases they are as long as normal vectors of all n dimensions. So what is estimated is the gradient with its
    active part scaled by `p n / r` and the rest by `(1 - p) n / (n - r)`. The parameters are raveled into one vector
    inside.

    Args:
        population_size: members per generation, even: pairs of mirror images.
        sigma: standard deviation of the perturbations, in units of the parameters; a number or an optax schedule.
        subspace: how many directions are kept at most, from 1 to n; by default 32, or n if that is less.
        warmup: generations of plain search at the beginning.
        threshold: part of the gradients' variance that the active directions hold, as few as possible.
        covariance_decay: weight of the past in the covariance of the gradients, in [0, 1).
        probability_rate: learning rate of p.
        probability_floor: p stays between this and 1 minus this; below 0.5.
        learning_rate: Adam's step size, 0.01 by default, a number or an optax schedule. Beside a `tx` it multiplies the
            update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative gradient and must descend. Adam by default.
        shaping: from fitness to weights; `jaxes.shaping.identity()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `warmup`, `threshold`, `covariance_decay`, `probability_rate`,
    `probability_floor`, `learning_rate`, `weight_decay`; each may be an optax schedule.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.asebo(16, 0.1, learning_rate=0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(20))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x[:2] ** 2)), state, generations=60)
    >>> bool(infos.mean[-1] > -0.5)
    True
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    if subspace is not None:
        checks.count("subspace", subspace)
    numbers = {
        "sigma": sigma,
        "warmup": warmup,
        "threshold": threshold,
        "covariance_decay": covariance_decay,
        "probability_rate": probability_rate,
        "probability_floor": probability_floor,
    }
    optimizer = descent(tx, decay, learning_rate=learning_rate, weight_decay=weight_decay, **numbers)
    shaping = shaping_of(shaping, identity)
    noise, pairs = gaussian(), population_size // 2

    def check_ends(given):
        for name, end in (("covariance_decay", 1.0), ("probability_floor", 0.5)):
            if given.get(name) is not None and not callable(given[name]):
                checks.number(name, given[name], below=end)

    check_ends(numbers)

    def init(key, params, **given) -> State:
        params = checks.params(params)
        n, dtype = trees.size(params), trees.number_dtype(params)
        k = min(n, 32) if subspace is None else subspace
        if k > n:
            raise ValueError(f"subspace must be at most the number of parameters {n}, got {k}")
        check_ends(given)
        empty = jnp.zeros((k, n), dtype)
        return State(axes=empty, basis=empty, logit=jnp.zeros((), dtype), **optimizer.init(key, params, **given))

    def probability(state):
        """p of Algorithm 2, line 1."""
        floor = state.probability_floor
        return (1 - 2 * floor) * jax.nn.sigmoid(state.logit) + floor

    def dimensions(state):
        return jnp.sum(jnp.any(state.basis != 0, axis=1)).astype(state.sigma.dtype)

    def draw(state, which):
        """Perturbations [units, n], and whether each lies in the active subspace (bool[units])."""
        n = state.basis.shape[1]
        z, coin = noise.sample(keys.of_generation(state), which, (state.basis[0], state.logit))
        r = dimensions(state)
        project = lambda rows: flat.times(flat.times(rows, state.basis.T), state.basis)
        inside = by_chunks(project, z)
        active = (jax.scipy.special.ndtr(coin) < probability(state)) & (r > 0) | (r == n)
        part = jnp.where(active[:, None], inside, z - inside)
        # The direction of the part is independent of the length of the whole.
        length = lambda x: jnp.sqrt(jnp.sum(x**2, axis=1, keepdims=True))
        g = part * (length(z) * (1 / jnp.maximum(length(part), jnp.finfo(z.dtype).tiny)))
        return jnp.where(r > 0, g, z), active

    def ask(state, ids=None):
        return flat.members(state, ids, population_size, lambda which: draw(state, which)[0], antithetic=True)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)
        pull = pulls(weights, fitness)

        def block(part):
            g, active = draw(state, part)
            return active, trees.weighted_rows(part.of(pull), g)

        active, total = over_blocks(block, pairs, blocks, comm)
        gradient = -1 / (population_size * state.sigma) * total  # Algorithm 1, line 2'
        logit = state.logit - state.probability_rate * slope(state, pull, active)
        axes = largest_axes(state.axes, gradient, state.covariance_decay)
        ready = (state.step + 1).astype(axes.dtype) >= state.warmup
        basis = jnp.where(ready, active_basis(axes, state.threshold), 0)
        new = {"axes": axes, "basis": basis, "logit": logit}
        return optimizer.step(state, fitness, trees.unravel(gradient, state.mean), **new)

    def slope(state, pull, active):
        """e(1) - e(2) of Algorithm 2, line 4, averaged over the pairs; zero while there is only one subspace."""
        n, r, p = state.basis.shape[1], dimensions(state), probability(state)
        both = (r > 0) & (r < n)
        largest = jnp.max(jnp.abs(pull))
        v = pull * (1 / jnp.where(largest > 0, largest, 1))
        mean_square = jnp.mean(v**2)
        # v for perturbations as long as normal vectors of their subspace, not of the whole space.
        square = v**2 * (1 / jnp.where(mean_square > 0, mean_square, 1)) * (jnp.where(active, r, n - r) * (1 / n))
        inside = -(r + 2) * (1 / p**3) * jnp.where(active, square, 0)
        outside = -(n - r + 2) * (1 / (1 - p) ** 3) * jnp.where(active, 0, square)
        return jnp.where(both, (1 - 2 * state.probability_floor) * jnp.mean(inside - outside), 0)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)
