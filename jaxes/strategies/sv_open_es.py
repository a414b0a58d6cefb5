"""Stein variational evolution strategy: several gradient searches that share what they find and keep apart.

Braun, Lange, Toussaint: "Stein Variational Evolution Strategies", UAI 2025, arXiv:2410.10390 (the SVGD update with
gradients of OpenAI's evolution strategy, its baseline GF-SVGD-ES); Liu & Wang: "Stein Variational Gradient Descent",
2016, arXiv:1608.04471, eq. 8; Liu et al.: "Stein Variational Policy Gradient", 2017, arXiv:1704.02399.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxes.blocks import Block, Comm, over_blocks
from jaxes.lowrank.leaf import dense_tree
from jaxes.noise import Noise, noise_of
from jaxes.schedules import Number, start
from jaxes.shaping import Shaping, centered_rank, shaped, shaping_of
from jaxes.strategies.parts import flat, optimizers, stein
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.members import from_noise, signed
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.weights import pulls
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks, keys, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # leaves [particles, ...]: the parameters of every particle
    best: jax.Array  # int32[]: the particle whose members ranked best in the last generation
    sigma: jax.Array  # float[]: standard deviation of the perturbations
    bandwidth: jax.Array  # float[]: width of the kernel, in units of the median heuristic's
    repulsion: jax.Array  # float[]: weight of the force between particles
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx for each particle, leaves [particles, ...]


@strategy_factory
def sv_open_es(
    population_size: int,
    sigma: Number = 0.1,
    *,
    particles: int = 4,
    spread: float | jax.Array | None = None,
    bandwidth: Number = 1.0,
    repulsion: Number = 1.0,
    learning_rate: Number | None = None,
    tx: Optimizer | None = None,
    shaping: Shaping | str | None = None,
    noise: Noise | str | None = None,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """Stein variational evolution strategy.

    Every particle has an equal part of the population: consecutive members, in antithetic pairs. With
    `shaping=jaxes.shaping.identity()` the fitness is taken for a log-density, and the particles become a sample of it.

    Args:
        population_size: members per generation, of all particles together; divisible by 2 * particles.
        sigma: standard deviation of the perturbations, in units of the parameters; a number or an optax schedule.
        particles: number of searches at once, 2 or more.
        spread: standard deviation of the starts of the other particles around the parameters, where the first
            particle starts; sigma by default.
        bandwidth: width of the kernel, 1 for the median heuristic; a number or an optax schedule.
        repulsion: weight of the force that keeps particles apart, a number or an optax schedule.
        learning_rate: Adam's step size, 0.01 by default, a number or an optax schedule. Beside a `tx` it multiplies the
            update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree of each particle; it is given the negative of SVGD's direction and must descend.
            Adam by default.
        shaping: from the fitness of one particle's members to weights; `jaxes.shaping.centered_rank()` by default.
        noise: the kind of perturbation; `jaxes.noise.gaussian()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `bandwidth`, `repulsion`, `learning_rate`, `weight_decay`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.sv_open_es(32, 0.3, particles=4, learning_rate=0.05)
    >>> state = strategy.init(jax.random.key(0), jnp.zeros(2))
    >>> two_peaks = lambda x: -jnp.minimum(jnp.sum((x - 1) ** 2), jnp.sum((x + 1) ** 2))
    >>> state, infos = jaxes.run(strategy, two_peaks, state, generations=60)
    >>> state.mean.shape, bool(two_peaks(strategy.recommend(state)) > -0.5)
    ((4, 2), True)
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    pairs, each = population_size // 2, stein.check(population_size, particles, pairs=True) // 2
    tx, learning_rate = optimizers.given(tx, learning_rate, 0.01)
    stacked = optax.GradientTransformation(jax.vmap(tx.init), jax.vmap(tx.update))
    rates = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    optimizer = descent(stacked, decay, sigma=sigma, bandwidth=bandwidth, repulsion=repulsion, **rates)
    shaping = shaping_of(shaping, centered_rank)
    noise = noise_of(noise)
    default = sigma

    def init(key, params, *, sigma=None, **numbers) -> State:
        dtype = trees.number_dtype(checks.params(params))
        width = start("sigma", sigma, default, dtype, exclusive=True) if spread is None else spread
        means = stein.scattered(key, params, particles, width)
        return State(best=jnp.int32(0), **optimizer.init(key, means, sigma=sigma, **numbers))

    def one(state, particle=0):
        return jax.tree.map(lambda x: x[particle], state.mean)

    def draw(state, which):
        ids = which.ids if isinstance(which, Block) else which
        return ids // each, noise.sample(keys.of_generation(state), which, one(state))

    def ask(state, ids=None):
        def member(sign, unit):
            particle, z = unit
            perturbed = noise.perturb(one(state, particle), signed(sign, state.sigma), z)
            return dense_tree(perturbed)  # particles share no matrix

        return from_noise(ids, population_size, True, lambda which: draw(state, which), member)

    def tell(state, fitness, comm: Comm = "blocks"):
        each_alone = lambda values: jax.vmap(shaping)(values.reshape(particles, 2 * each)).reshape(-1)
        fitness, weights = shaped(each_alone, fitness, population_size, state.sigma.dtype)
        pull = jax.vmap(pulls)(weights.reshape(particles, 2 * each), fitness.reshape(particles, 2 * each)).reshape(-1)

        def block(part):
            particle, z = draw(state, part)
            mine = jnp.where(particle[None] == jnp.arange(particles, dtype=jnp.int32)[:, None], part.of(pull)[None], 0)
            return (), jax.vmap(lambda w: noise.combine(w, z))(mine)

        _, total = over_blocks(block, pairs, blocks, comm)
        rows = lambda tree: jax.vmap(lambda x: trees.ravel(x, state.sigma.dtype))(tree)
        values, apart = stein.kernel(rows(state.mean), state.bandwidth)
        slopes = rows(total) * (1 / (2 * each * state.sigma))
        shared = flat.times(values, slopes) * (1 / particles)
        descending = -(shared + state.repulsion * apart)  # eq. 8 of Liu & Wang, negative
        gradient = jax.vmap(lambda row: trees.unravel(row, one(state)))(descending)
        return optimizer.step(state, fitness, gradient, best=stein.leader(fitness, particles))

    return Strategy(init, ask, tell, lambda state: one(state, state.best), population_size, blocks)
