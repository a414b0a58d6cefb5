"""Augmented random search: finite differences along the best random directions, divided by their standard deviation.

Mania, Guy, Recht: "Simple random search of static linear policies is competitive for reinforcement learning", NeurIPS
2018, arXiv:1803.07055, Algorithms 1 and 2. V1 uses all directions, V1-t the best `top` of them. V2 and V2-t are the
same updates on normalized observations; the normalizer lives in the rollout (`jaxes.rl.rollout(normalize=True)`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Comm
from jaxes.noise import Noise, noise_of
from jaxes.schedules import Number
from jaxes.shaping import shaped, z_score
from jaxes.strategies.parts import deviations
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.smoothed import smoothed
from jaxes.strategies.parts.weights import lenient
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks, ranking, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: standard deviation of the perturbations, the paper's nu
    learning_rate: jax.Array  # float[]: the paper's alpha
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx


@strategy_factory
def ars(
    population_size: int,
    sigma: Number = 0.03,
    *,
    top: int | None = None,
    learning_rate: Number | None = None,
    tx: Optimizer | None = None,
    noise: Noise | str | None = None,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """Augmented random search.

    Args:
        population_size: members per generation, even: two for each of the paper's N directions.
        sigma: standard deviation of the perturbations (the paper's nu), in units of the parameters; a number or an
            optax schedule.
        top: how many directions are used (the paper's b): the directions with the best members; all of them by default
            (V1, V2).
        learning_rate: the step size (the paper's alpha), 0.02 by default, a number or an optax schedule. Beside a `tx`
            it multiplies the update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative of the paper's direction and must descend. Plain
            gradient descent by default.
        noise: the kind of perturbation; `jaxes.noise.gaussian()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    There is no shaping: differences of fitness are divided by the standard deviation of the fitness of the directions
    that are used. A direction with two invalid members is not used. A single invalid member counts as an average one
    where few members are invalid, and the more as the worst the more members are invalid.

    Numbers that `init` takes: `sigma`, `learning_rate`, `weight_decay`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.ars(16, 0.1, top=4, learning_rate=0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.1)
    True
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    directions = population_size // 2
    used = directions if top is None else top
    checks.integer("top", used, high=directions, limit="the number of directions")
    optimizer = descent(
        "sgd" if tx is None else tx,
        decay,
        0.02 if tx is None else 0.01,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        sigma=sigma,
    )
    search = smoothed(noise_of(noise), population_size, blocks)
    first = np.arange(directions) < used
    scaled = z_score()

    def init(key, params, **numbers) -> State:
        return State(**optimizer.init(key, params, **numbers))

    def tell(state, fitness, comm: Comm = "blocks"):
        # The update does not depend on the scale of the fitness; in this one a square neither overflows nor vanishes.
        fitness, values = shaped(scaled, fitness, population_size, state.sigma.dtype)
        values = lenient(values, fitness)
        up, down = values[0::2], values[1::2]
        lost = jnp.isnan(fitness[0::2]) & jnp.isnan(fitness[1::2])
        best = jnp.where(lost, jnp.nan, jnp.maximum(up, down))  # line 6
        chosen = ranking.recombination(jnp.asarray(first, fitness.dtype), best)
        per_member = 0.5 / jnp.maximum(jnp.sum(chosen), 1)
        middle = jnp.sum(chosen * (up + down)) * per_member
        deviation = jnp.sqrt(jnp.sum(chosen * ((up - middle) ** 2 + (down - middle) ** 2)) * per_member)  # sigma_R
        pull = chosen * (up - down) * (1 / (used * jnp.where(deviation > 0, deviation, 1)))  # line 7
        return optimizer.step(state, fitness, trees.scaled(-1.0, search.total(state, pull, comm)))

    return Strategy(
        init, search.ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.isotropic
    )
