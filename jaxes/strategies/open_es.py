"""OpenAI's evolution strategy: a stochastic gradient of the Gaussian-smoothed fitness, followed by any optimizer.

Salimans, Ho, Chen, Sidor, Sutskever: "Evolution Strategies as a Scalable Alternative to Reinforcement Learning", 2017,
arXiv:1703.03864, Algorithm 1, with mirrored sampling, rank shaping and weight decay as in section 2.
"""

from typing import Any, NamedTuple

import jax

from jaxes.blocks import Comm
from jaxes.noise import Noise, noise_of
from jaxes.schedules import Number
from jaxes.shaping import Shaping, centered_rank, shaped, shaping_of
from jaxes.strategies.parts import deviations
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.one_pass import one_pass
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.smoothed import smoothed
from jaxes.strategies.parts.weights import pulls
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: standard deviation of the perturbations
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx


@strategy_factory
def open_es(
    population_size: int,
    sigma: Number = 0.02,
    *,
    learning_rate: Number | None = None,
    tx: Optimizer | None = None,
    shaping: Shaping | str | None = None,
    noise: Noise | str | None = None,
    antithetic: bool = True,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """OpenAI's evolution strategy.

    Args:
        population_size: members per generation; even with antithetic pairs.
        sigma: standard deviation of the perturbations, in units of the parameters; a number or an optax schedule.
        learning_rate: Adam's step size, 0.01 by default, a number or an optax schedule. Beside a `tx` it multiplies the
            update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative gradient and must descend, as optax's optimizers do.
            Adam by default.
        shaping: from fitness to weights; `jaxes.shaping.centered_rank()` by default.
        noise: the kind of perturbation; `jaxes.noise.gaussian()` by default.
        antithetic: whether members 2i and 2i+1 are mirror images of each other.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" takes `learning_rate * weight_decay * mean` off the mean (Loshchilov & Hutter 2019); "l2"
            adds `-weight_decay * mean` to the gradient before the optimizer, as OpenAI's code does.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `weight_decay`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(16, 0.1, learning_rate=0.05)
    >>> state = strategy.init(jax.random.key(0), {"w": jnp.zeros((2, 3))})
    >>> members = strategy.ask(state)
    >>> members["w"].shape
    (16, 2, 3)
    >>> state, info = strategy.tell(state, jnp.sum(members["w"], axis=(1, 2)))
    >>> bool(strategy.recommend(state)["w"].mean() > 0)
    True
    """
    checks.population_size(population_size, antithetic=antithetic, blocks=blocks)
    optimizer = descent(tx, decay, learning_rate=learning_rate, weight_decay=weight_decay, sigma=sigma)
    shaping = shaping_of(shaping, centered_rank)
    noise = noise_of(noise)
    search = smoothed(noise, population_size, blocks, antithetic=antithetic)

    def init(key, params, **numbers) -> State:
        return State(**optimizer.init(key, params, **numbers))

    def ask(state, ids=None):
        return search.ask(state, ids)  # lines 3 and 4: theta + sigma epsilon_i, mirrored

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)
        return move(state, fitness, total(state, fitness, weights, comm))

    def total(state, fitness, weights, comm):
        """The sum of F_i epsilon_i."""
        return search.total(state, pulls(weights, fitness) if antithetic else weights, comm)

    def move(state, fitness, total):
        # Line 5: theta + alpha / (n sigma) sum F_i epsilon_i. optax descends, so it is given the negative gradient.
        return optimizer.step(state, fitness, trees.scaled(-1 / (population_size * state.sigma), total))

    stream = one_pass(noise, population_size, shaping, search.draw, total, move) if antithetic else None
    return Strategy(
        init, ask, tell, lambda state: state.mean, population_size, blocks, stream, deviations=deviations.isotropic
    )
