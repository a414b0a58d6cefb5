"""OpenAI's evolution strategy: a stochastic gradient of the Gaussian-smoothed fitness, followed by any optimizer.

Salimans, Ho, Chen, Sidor, Sutskever: "Evolution Strategies as a Scalable Alternative to Reinforcement Learning", 2017,
arXiv:1703.03864, Algorithm 1, with mirrored sampling, rank shaping and weight decay as in section 2.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxes.blocks import Comm, over_blocks
from jaxes.noise import Noise, gaussian
from jaxes.schedules import Number
from jaxes.shaping import Shaping, centered_rank, is_affine, slope
from jaxes.strategies.parts import deviations
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.members import from_noise, signed
from jaxes.strategies.parts.weights import pulls
from jaxes.strategy import Strategy, Stream
from jaxes.support import checks, keys, trees
from jaxes.support.memoized import memoized


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: standard deviation of the perturbations
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    weight_decay: jax.Array  # float[]
    optimizer: Any  # state of tx


@memoized
def open_es(
    population_size: int,
    sigma: Number = 0.02,
    *,
    learning_rate: Number | None = None,
    tx: optax.GradientTransformation | None = None,
    shaping: Shaping | None = None,
    noise: Noise | None = None,
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
            update of that one and is 1 by default.
        tx: an optax transformation, run on the real parameter tree; it is given the negative gradient and must
            descend, as optax's optimizers do. Adam by default.
        shaping: from fitness to weights; `jaxes.shaping.centered_rank()` by default.
        noise: the kind of perturbation; `jaxes.noise.gaussian()` by default.
        antithetic: members 2i and 2i+1 are mirror images of each other.
        weight_decay: strength, a number or an optax schedule.
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
    shaping = centered_rank() if shaping is None else shaping
    noise = gaussian() if noise is None else noise
    units = population_size // 2 if antithetic else population_size

    def init(key, params, *, sigma=None, learning_rate=None, weight_decay=None) -> State:
        given = {"sigma": sigma, "learning_rate": learning_rate, "weight_decay": weight_decay}
        return State(**optimizer.init(key, params, **given))

    def draw(state, which):
        return noise.sample(keys.of_generation(state), which, state.mean)

    def ask(state, ids=None):
        place = lambda sign, z: noise.perturb(state.mean, signed(sign, state.sigma), z)
        return from_noise(ids, population_size, antithetic, lambda which: draw(state, which), place)

    def summed(state, fitness, weights, comm):
        pull = pulls(weights, fitness) if antithetic else weights
        block = lambda part: ((), noise.combine(part.of(pull), draw(state, part)))
        return over_blocks(block, units, blocks, comm)[1]

    def move(state, fitness, total):
        # Algorithm 1, line 5. optax descends, so it is given the negative gradient.
        return optimizer.step(state, fitness, trees.scaled(-1 / (population_size * state.sigma), total))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness = checks.fitness(fitness, population_size, state.sigma.dtype)
        return move(state, fitness, summed(state, fitness, shaping(fitness), comm))

    def ask_and_keep(state, block):
        z = draw(state, block.pairs)
        place = lambda sign, z: noise.perturb(state.mean, signed(sign, state.sigma), z)
        return from_noise(block, population_size, True, lambda which: z, place), z

    def add(fitness, z):
        return noise.combine(fitness[0::2] - fitness[1::2], z)

    def tell_sums(state, fitness, total, comm: Comm = "blocks"):
        fitness = checks.fitness(fitness, population_size, state.sigma.dtype)
        weights = shaping(fitness)
        # Failed members weigh what depends on all others: then the noise is drawn again.
        known = lambda: trees.scaled(slope(weights, fitness), total)
        again = lambda: summed(state, fitness, weights, comm)
        return move(state, fitness, lax.cond(jnp.all(jnp.isfinite(fitness)), known, again))

    stream = Stream(ask_and_keep, add, tell_sums) if antithetic and is_affine(shaping) else None
    return Strategy(
        init, ask, tell, lambda state: state.mean, population_size, blocks, stream, deviations=deviations.isotropic
    )
