"""Policy gradients with parameter-based exploration: a Gaussian with one sigma per parameter, in symmetric samples.

Sehnke, Osendorfer, Rückstieß, Graves, Peters, Schmidhuber: "Parameter-exploring policy gradients", Neural Networks 23
(2010) 551-559, section 3 (symmetric sampling, Algorithm 2); with ClipUp, centered ranks and the limit on the change of
sigma of Toklu, Liskowski, Srivastava: "ClipUp", PPSN 2020, arXiv:2008.02387, section 2.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number, start
from jaxes.shaping import Shaping, centered_rank, shaped, shaping_of
from jaxes.strategies.parts import deviations, diagonal
from jaxes.strategies.parts.clip_up import clip_up
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.weights import lenient
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: Any  # like the mean, f32 or wider: standard deviation of each parameter
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    sigma_learning_rate: jax.Array  # float[]: learning rate of sigma
    sigma_change: jax.Array  # float[]: the largest relative change of a sigma in one generation
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx


@strategy_factory
def pgpe(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    learning_rate: Number | None = None,
    sigma_learning_rate: Number = 0.1,
    sigma_change: Number = 0.2,
    tx: Optimizer | None = None,
    shaping: Shaping | str | None = None,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """Policy gradients with parameter-based exploration.

    The gradients are the ones of Sehnke et al. with step sizes proportional to sigma^2 (their section 2). For the pairs
    `x = mean ± sigma z` they are averages over the pairs: of `sigma z (f+ - f-) / 2` for the mean, and of
    `sigma (z^2 - 1) ((f+ + f-) / 2 - mean f)` for sigma. The noise is Gaussian, as the gradient of sigma assumes.

    Args:
        population_size: members per generation, even: pairs of mirror images.
        sigma: initial standard deviation of every parameter, in units of the parameters.
        learning_rate: the maximum speed of ClipUp (its step size is half of that), by default a fifteenth of the radius
            of the initial distribution, `sigma * sqrt(n) / 15`; a number or an optax schedule. Beside a `tx` it
            multiplies the update of `tx` and is 1 by default.
        sigma_learning_rate: learning rate of sigma, a number or an optax schedule.
        sigma_change: no sigma changes by more than this part of it in one generation; below 1, a number or an optax
            schedule.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative gradient and must descend. `jaxes.clip_up` by default.
        shaping: from fitness to weights; `jaxes.shaping.centered_rank()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `sigma_learning_rate`, `sigma_change`, `weight_decay`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.pgpe(16, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.05)
    True
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    checks.adapted("sigma", sigma)
    shaping = shaping_of(shaping, centered_rank)
    by_radius = tx is None and learning_rate is None
    rates = {"sigma_learning_rate": sigma_learning_rate, "sigma_change": sigma_change, "weight_decay": weight_decay}
    optimizer = descent(clip_up(1.0) if tx is None else tx, decay, learning_rate=learning_rate, **rates)
    default, units = sigma, population_size // 2

    def init(key, params, *, sigma=None, **given) -> State:
        params = checks.params(params)
        first = start("sigma", sigma, default, trees.number_dtype(params), exclusive=True)
        if by_radius and given.get("learning_rate") is None:
            given["learning_rate"] = first * (math.sqrt(trees.size(params)) / 15)
        if given.get("sigma_change") is not None:
            checks.number("sigma_change", given["sigma_change"], below=1.0)
        fields = optimizer.init(key, params, **given)
        return State(sigma=jax.tree.map(lambda x: jnp.full(x.shape, first), params), **fields)

    def ask(state, ids=None):
        return diagonal.members(state, ids, population_size, antithetic=True)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.learning_rate.dtype)
        weights = lenient(weights, fitness)
        up, down = weights[0::2], weights[1::2]
        pull = (up - down) * (0.5 / units)  # r_T of Algorithm 2
        push = ((up + down) * 0.5 - jnp.mean(weights)) * (1 / units)  # r_S, the generation's mean as baseline
        first, second = diagonal.moments(state, pull, blocks, comm, push)
        total = jnp.sum(push)
        gradient = jax.tree.map(lambda s, g, x: -(s * g).astype(x.dtype), state.sigma, first, state.mean)
        low, high = 1 - state.sigma_change, 1 + state.sigma_change
        rate = state.sigma_learning_rate
        sigma = jax.tree.map(
            lambda s, square: s * jnp.clip(1 + rate * (square - total), low, high), state.sigma, second
        )
        return optimizer.step(state, fitness, gradient, sigma=sigma)

    if not callable(sigma_change):
        checks.number("sigma_change", sigma_change, below=1.0)
    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.diagonal)
