"""Evolution strategy with clipping at the center: no member counts as worse than the mean itself.

Merchant, Metz, Schoenholz, Cubuk: "Learn2Hop: Learned Optimization on Rough Landscapes", ICML 2021, arXiv:2107.09661,
section on meta-loss clipping (ESMC): both members of an antithetic pair are compared with the unperturbed parameters,
and a loss above theirs is replaced by it, so that cliffs do not dominate the gradient estimate.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Block, Comm
from jaxes.noise import Noise, noise_of
from jaxes.schedules import Number
from jaxes.shaping import Shaping, identity, shaped, shaping_of
from jaxes.strategies.parts import deviations
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.smoothed import of_generation, smoothed
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
def esmc(
    population_size: int,
    sigma: Number = 0.1,
    *,
    learning_rate: Number | None = None,
    tx: Optimizer | None = None,
    shaping: Shaping | str | None = None,
    noise: Noise | str | None = None,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """Evolution strategy with clipping at the center.

    The first pair, members 0 and 1, is the mean itself, evaluated twice; the baseline f0 is the average of the two. The
    gradient is `sum (max(f+, f0) - max(f-, f0)) z / (pairs * sigma)` over the other pairs. It is unbiased where the
    fitness is linear, because there exactly one member of each pair is clipped. An invalid member counts as f0, and so
    does not pull.

    Args:
        population_size: members per generation, even and 4 or more, including the two at the center.
        sigma: standard deviation of the perturbations, in units of the parameters; a number or an optax schedule.
        learning_rate: Adam's step size, 0.01 by default, a number or an optax schedule. Beside a `tx` it multiplies the
            update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative gradient and must descend. Adam by default.
        shaping: from fitness to the values that are compared; it must keep their order. `jaxes.shaping.identity()` by
            default.
        noise: the kind of perturbation; `jaxes.noise.gaussian()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `weight_decay`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.esmc(16, 0.1, learning_rate=0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.1)
    True
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    if population_size < 4:
        raise ValueError(f"population_size must be 4 or more for esmc (two are the mean itself), got {population_size}")
    optimizer = descent(tx, decay, learning_rate=learning_rate, weight_decay=weight_decay, sigma=sigma)
    shaping = shaping_of(shaping, identity)
    noise = noise_of(noise)
    fresh, pairs = of_generation(noise), population_size // 2

    def draw(state, which):
        """New noise, but none for the first pair."""
        z = fresh(state, which)
        center = (which.ids if isinstance(which, Block) else which) == 0
        return jax.tree.map(lambda x: jnp.where(center.reshape(-1, *(1,) * (x.ndim - 1)), 0, x), z)

    search = smoothed(noise, population_size, blocks, draw=draw)

    def init(key, params, **numbers) -> State:
        return State(**optimizer.init(key, params, **numbers))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, values = shaped(shaping, fitness, population_size, state.sigma.dtype)
        valid = ~jnp.isnan(fitness[:2])
        count = jnp.sum(valid).astype(values.dtype)
        known = jnp.sum(jnp.where(valid, values[:2], 0)) * (1 / jnp.maximum(count, 1))
        baseline = jnp.where(count > 0, known, jnp.min(values))
        clipped = jnp.maximum(values, baseline)
        total = search.total(state, clipped[0::2] - clipped[1::2], comm)
        return optimizer.step(state, fitness, trees.scaled(-1 / ((pairs - 1) * state.sigma), total))

    return Strategy(
        init, search.ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.isotropic
    )
