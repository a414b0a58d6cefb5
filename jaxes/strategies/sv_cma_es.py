"""Stein variational CMA-ES: several CMA searches, each with its own covariance, that keep apart.

Braun, Lange, Toussaint: "Stein Variational Evolution Strategies", UAI 2025, arXiv:2410.10390, Algorithm 1: the step of
each mean is its own CMA step plus the repulsion of the kernel.

Three things differ from the paper, because the step size of CMA goes to zero at an optimum, unlike a sampler's; each
was found necessary by trial. First, the repulsion is multiplied by the particle's sigma^2. The gradient of the kernel
has the units of a gradient of a log-density, 1/parameters, and CMA's own step is about sigma^2 times such a gradient;
so the two have the same units, and the search does not depend on the scale of the parameters. Second, the evolution
paths see the CMA step alone. Third, the kernel is never narrower than the search distributions, `h >= 2 n sigma^2`.
Without the last two, repulsion and step size drive each other to infinity.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.blocks import Block, Comm
from jaxes.schedules import Number, follow_all, start, start_all
from jaxes.strategies.cma_es import cma_es
from jaxes.strategies.parts import flat, stein
from jaxes.strategies.parts.members import as_array, read_ids
from jaxes.strategy import Strategy, summarize
from jaxes.support import checks, trees
from jaxes.support.memoized import memoized


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # leaves [particles, ...]: the parameters of every particle
    sigma: jax.Array  # float[particles]: step sizes
    particles: Any  # the rest of the states of cma_es, leaves [particles, ...]
    best: jax.Array  # int32[]: the particle whose members ranked best in the last generation
    bandwidth: jax.Array  # float[]: width of the kernel, in units of the median heuristic's
    repulsion: jax.Array  # float[]: weight of the force between particles


@memoized
def sv_cma_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    particles: int = 4,
    spread: float | jax.Array | None = None,
    bandwidth: Number = 1.0,
    repulsion: Number = 1.0,
    active: bool = True,
    blocks: int = 1,
) -> Strategy:
    """Stein variational CMA-ES.

    Every particle is a `cma_es` with an equal part of the population: consecutive members. Every particle keeps n x n
    matrices, so n is at most 10,000.

    Args:
        population_size: members per generation, of all particles together; divisible by the number of particles.
        sigma: initial step size of every particle, in units of the parameters.
        particles: number of searches at once, 2 or more.
        spread: standard deviation of the starts of the other particles around the parameters, where the first
            particle starts; sigma by default.
        bandwidth: width of the kernel, 1 for the median heuristic; a number or an optax schedule.
        repulsion: weight of the force that keeps particles apart, a number or an optax schedule.
        active: let the worse half take variance away, as in `cma_es`.
        blocks: the particles are updated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `bandwidth`, `repulsion`, and the rates of `cma_es`, the same for all particles.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.sv_cma_es(24, 0.3, particles=4)
    >>> state = strategy.init(jax.random.key(0), jnp.zeros(2))
    >>> two_peaks = lambda x: -jnp.minimum(jnp.sum((x - 1) ** 2), jnp.sum((x + 1) ** 2))
    >>> state, infos = jaxes.run(strategy, two_peaks, state, generations=30)
    >>> bool(two_peaks(strategy.recommend(state)) > -0.5)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    each = stein.check(population_size, particles, pairs=False)
    inner = cma_es(each, sigma, active=active)
    numbers = {"bandwidth": bandwidth, "repulsion": repulsion}
    default = sigma

    def init(key, params, *, sigma=None, bandwidth=None, repulsion=None, **rates) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        width = start("sigma", sigma, default, dtype, exclusive=True) if spread is None else spread
        first = inner.init(key, params, sigma=sigma, **rates)  # checks everything
        means = stein.scattered(key, params, particles, width)
        every = jax.tree.map(lambda x: jnp.broadcast_to(x, (particles, *x.shape)), first)
        return State(
            key=first.key,
            step=first.step,
            mean=means,
            sigma=every.sigma,
            particles=rest_of(every),
            best=jnp.int32(0),
            **start_all(numbers, {"bandwidth": bandwidth, "repulsion": repulsion}, {}, dtype),
        )

    def rest_of(states):
        return states._replace(key=(), step=(), mean=(), sigma=())

    def particle(state, index):
        """One particle's state of cma_es."""
        mine, mean = jax.tree.map(lambda x: x[index], (state.particles, state.mean))
        key = jax.random.fold_in(state.key, index)
        return mine._replace(key=key, step=state.step, mean=mean, sigma=state.sigma[index])

    def ask(state, ids=None):
        ids = read_ids(ids, population_size)
        if isinstance(ids, Block) and ids.consists_of(each):
            indices = ids.start // each + jnp.arange(ids.size // each)
            members = lax.map(lambda i: inner.ask(particle(state, i)), indices)
            return jax.tree.map(lambda x: x.reshape(ids.size, *x.shape[2:]), members)
        member = lambda i: jax.tree.map(lambda x: x[0], inner.ask(particle(state, i // each), (i % each)[None]))
        return lax.map(member, as_array(ids))

    def tell(state, fitness, comm: Comm = "blocks"):
        dtype = state.sigma.dtype
        fitness = checks.fitness(fitness, population_size, dtype)
        rows = jax.vmap(lambda x: trees.ravel(x, dtype))(state.mean)
        square = state.sigma**2
        own = 2 * rows.shape[1] * jnp.mean(square)  # mean squared distance between the members of one particle
        apart = state.repulsion * square[:, None] * stein.kernel(rows, state.bandwidth, own)[1]

        def one(given):
            index, values, push = given
            told = inner.tell(particle(state, index), values)[0]
            return rest_of(told), told.sigma, flat.moved(told.mean, push)

        given = (jnp.arange(particles), fitness.reshape(particles, each), apart)
        rest, sigma, mean = lax.map(one, given, batch_size=max(1, particles // blocks))
        some = ~jnp.all(jnp.isnan(fitness))
        new = (rest, sigma, mean, stein.leader(fitness, particles))
        rest, sigma, mean, best = trees.where(some, new, (state.particles, state.sigma, state.mean, state.best))
        info = summarize(fitness, state.mean, mean, state.sigma)
        step = state.step + 1
        return State(state.key, step, mean, sigma, rest, best, **follow_all(numbers, state, step)), info

    def recommend(state):
        return jax.tree.map(lambda x: x[state.best], state.mean)

    return Strategy(init, ask, tell, recommend, population_size, blocks)
