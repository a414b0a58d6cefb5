"""Noise-reuse evolution strategies: one perturbation for a whole episode, unbiased and of low variance.

Li, Harrison, Sohl-Dickstein, Smith, Metz: "Variance-Reduced Gradient Estimation via Noise-Reuse in Online Evolution
Strategies", NeurIPS 2023, arXiv:2304.12180, section 3 (Algorithms 2 and 3).
"""

from typing import Any, NamedTuple

import jax

from jaxes.blocks import Block, Comm
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
from jaxes.unrolled import episode


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: standard deviation of the perturbations
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx


@strategy_factory
def nres(
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
    """Noise-reuse evolution strategies.

    Made for `jaxes.unrolled`, whose members go on from where they were. A pair has the same perturbation in all pieces
    of an episode, drawn from the number of the episode, so nothing has to be kept.

    Args:
        population_size: members per generation, even: pairs of mirror images.
        sigma: standard deviation of the perturbations, in units of the parameters; a number or an optax schedule.
        unrolls: how many pieces (generations) an episode has; with 1 this is a plain evolution strategy.
        stagger: pairs begin their episodes in different generations, as in `jaxes.unrolled` and in the paper.
        learning_rate: Adam's step size, 0.01 by default, a number or an optax schedule. Beside a `tx` it multiplies the
            update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative gradient and must descend. Adam by default.
        shaping: from fitness to weights; only `jaxes.shaping.identity()`, the default, leaves the gradient unbiased.
        noise: the kind of perturbation; `jaxes.noise.gaussian()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `weight_decay`.

    >>> import jax, jaxes, optax, jax.numpy as jnp
    >>> strategy = jaxes.nres(8, 0.1, unrolls=2, tx=optax.sgd(0.0))
    >>> state = strategy.init(jax.random.key(0), jnp.zeros(3))
    >>> states = [state]
    >>> for _ in range(2):
    ...     states.append(strategy.tell(states[-1], jnp.arange(8.0))[0])
    >>> [bool(jnp.all(strategy.ask(state) == strategy.ask(after))) for after in states[1:]]
    [True, False]
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    checks.count("unrolls", unrolls)
    optimizer = descent(tx, decay, learning_rate=learning_rate, weight_decay=weight_decay, sigma=sigma)
    shaping = shaping_of(shaping, identity)
    noise = noise_of(noise)

    def draw(state, which):
        """The noise of each pair's current episode."""
        if not stagger:
            return noise.sample(jax.random.fold_in(state.key, state.step // unrolls), which, state.mean)
        ids = which.ids if isinstance(which, Block) else which
        episodes = episode(state.step, ids, unrolls, stagger)

        def one(number, pair):
            z = noise.sample(jax.random.fold_in(state.key, number), pair[None], state.mean)
            return jax.tree.map(lambda x: x[0], z)

        return jax.vmap(one)(episodes, ids)

    search = smoothed(noise, population_size, blocks, draw=draw)

    def init(key, params, **numbers) -> State:
        return State(**optimizer.init(key, params, **numbers))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)
        total = search.total(state, pulls(weights, fitness), comm)
        return optimizer.step(state, fitness, trees.scaled(-1 / (population_size * state.sigma), total))

    return Strategy(
        init, search.ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.isotropic
    )
