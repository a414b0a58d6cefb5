"""Persistent evolution strategies: unbiased gradients of long unrolled problems from short pieces of them.

Vicol, Metz, Sohl-Dickstein: "Unbiased Gradient Estimation in Unrolled Computation Graphs with Persistent Evolution
Strategies", ICML 2021, arXiv:2112.13835, Algorithm 2 and eq. 10.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.lowrank.population import materialize
from jaxes.noise import Noise, noise_of
from jaxes.schedules import Number
from jaxes.shaping import Shaping, identity, shaped, shaping_of
from jaxes.strategies.parts import deviations
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.smoothed import smoothed
from jaxes.strategies.parts.weights import pulls
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks, trees
from jaxes.unrolled import piece


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    paths: Any  # leaves [pairs, ...]: each pair's perturbations since its episode began, added up
    sigma: jax.Array  # float[]: standard deviation of the perturbations
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx


@strategy_factory
def pes(
    population_size: int,
    sigma: Number = 0.1,
    *,
    unrolls: int = 1,
    stagger: bool = False,
    learning_rate: Number | None = None,
    tx: Optimizer | None = None,
    shaping: Shaping | str | None = None,
    noise: Noise | str | None = None,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """Persistent evolution strategies.

    Made for `jaxes.unrolled`, whose members go on from where they were. The fitness of a piece is credited to all
    perturbations since the episode began, not only to the newest one. Every pair therefore keeps the sum of its
    perturbations, which takes memory in proportion to population_size times the number of parameters; `nres` does
    without.

    Args:
        population_size: members per generation, even: pairs of mirror images.
        sigma: standard deviation of the perturbations, in units of the parameters; a number or an optax schedule.
        unrolls: how many pieces (generations) an episode has; with 1 this is a plain evolution strategy.
        stagger: pairs begin their episodes in different generations, as in `jaxes.unrolled`.
        learning_rate: Adam's step size, 0.01 by default, a number or an optax schedule. Beside a `tx` it multiplies the
            update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative gradient and must descend. Adam by default.
        shaping: from fitness to weights; only `jaxes.shaping.identity()`, the default, leaves the gradient unbiased.
        noise: a kind of perturbation whose samples are like the parameters; `jaxes.noise.gaussian()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `weight_decay`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.pes(8, 0.1, unrolls=5)
    >>> state = strategy.init(jax.random.key(0), jnp.zeros(3))
    >>> state, info = strategy.tell(state, jnp.arange(8.0))
    >>> state.paths.shape
    (4, 3)
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    checks.count("unrolls", unrolls)
    optimizer = descent(tx, decay, learning_rate=learning_rate, weight_decay=weight_decay, sigma=sigma)
    shaping = shaping_of(shaping, identity)
    noise = noise_of(noise)
    search, pairs = smoothed(noise, population_size, blocks), population_size // 2

    def init(key, params, **numbers) -> State:
        fields = optimizer.init(key, params, **numbers)
        paths = jax.tree.map(lambda x: jnp.zeros((pairs, *x.shape), x.dtype), fields["mean"])
        return State(paths=paths, **fields)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)
        pull = pulls(weights, fitness)

        def block(part):
            # Algorithm 2: xi <- xi + epsilon, from zero where an episode begins.
            goes_on = piece(state.step, part.ids, unrolls, stagger) > 0
            kept = lambda path: jnp.where(goes_on.reshape(-1, *(1,) * (path.ndim - 1)), part.of(path), 0)
            before = jax.tree.map(kept, state.paths)
            paths = trees.add_scaled(before, state.sigma, materialize(search.draw(state, part)))
            return paths, noise.combine(part.of(pull), paths)

        paths, total = over_blocks(block, pairs, blocks)
        gradient = trees.scaled(-1 / (population_size * state.sigma**2), total)  # eq. 10
        return optimizer.step(state, fitness, gradient, paths=paths)

    return Strategy(
        init, search.ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.isotropic
    )
