"""Stein variational CMA-ES: several CMA searches, each with its own covariance, that keep apart.

Braun, Lange, Toussaint: "Stein Variational Evolution Strategies", UAI 2025, arXiv:2410.10390, Algorithm 1: the step of
each mean is its own CMA step plus the repulsion of the kernel.

Four things differ from the paper, because the step size of CMA goes to zero at an optimum, unlike a sampler's, and
because a push that is met by selection would drive the step size up and the step size the push, to infinity:

- Steps are preconditioned alike. CMA's own step is about sigma^2 C times the gradient of a log-density; so is the
  repulsion, sigma^2 C times the gradient of the kernel. It fades at an optimum, goes where the search is wide, and does
  not depend on the scale of the parameters.
- The kernel is never narrower than the search distributions, `h >= 2 sigma^2 trace(C)`.
- A generation's push is at most `sqrt(n c_sigma / ((2 - c_sigma) mu_eff))` standard deviations: pushes of that size,
  for ever in one direction, add up to an evolution path of usual length, sqrt(n).
- The evolution paths see the CMA step alone, so that random selection leaves sigma as it is; but sigma grows no faster
  than by the path of the particle's real steps, which is short where the push and selection cancel each other.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.blocks import Block, Comm
from jaxes.schedules import Number, follow_all, start, start_all
from jaxes.strategies.cma_es import cma_es
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts import flat, stein
from jaxes.strategies.parts.generations import within_range
from jaxes.strategies.parts.members import as_array, read_ids
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # leaves [particles, ...]: the parameters of every particle
    sigma: jax.Array  # float[particles]: step sizes
    particles: Any  # the rest of the states of cma_es, leaves [particles, ...]
    pushed: jax.Array  # float[particles, n]: evolution path of the pushes, in the coordinates of path_sigma
    best: jax.Array  # int32[]: the particle whose members ranked best in the last generation
    bandwidth: jax.Array  # float[]: width of the kernel, in units of the median heuristic's
    repulsion: jax.Array  # float[]: weight of the force between particles


@strategy_factory
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
    effective = paths.logarithmic(each)[1]
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
            pushed=jnp.zeros_like(every.path_sigma),
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
        fitness, order = checks.fitness(fitness, population_size, dtype)
        apart = force(state)

        def one(given):
            index, values, apart = given
            old = particle(state, index)
            told = inner.tell(old, values)[0]
            white = state.repulsion * old.sigma * flat.times(old.root.T, apart)
            most = jnp.sqrt(white.size * old.c_sigma / ((2 - old.c_sigma) * effective))
            white = white * jnp.minimum(1, most / jnp.maximum(flat.norm(white), jnp.finfo(dtype).tiny))
            push = old.sigma * flat.times(old.root, white)
            mean, rest = flat.moved_exactly(told.mean, told.rest, push)
            pushed = paths.cumulated(state.pushed[index], old.c_sigma, effective, white)
            path = told.path_sigma
            excess = jnp.maximum(flat.norm(path) - flat.norm(path + pushed), 0) * (1 / paths.expected_length(path.size))
            sigma = told.sigma * jnp.exp(-old.c_sigma / old.d_sigma * excess)
            return rest_of(told._replace(rest=rest)), sigma, mean, pushed

        given = (jnp.arange(particles), order.reshape(particles, each), apart)
        new = lax.map(one, given, batch_size=max(1, particles // blocks))
        old = (state.particles, state.sigma, state.mean, state.pushed)
        usable = within_range({"all": new}, {"all": old}) & ~jnp.all(jnp.isnan(fitness))
        first = (*old, state.best)
        rest, sigma, mean, pushed, best = trees.where(usable, (*new, stein.leader(order, particles)), first)
        info = summarize(fitness, state.mean, mean, state.sigma)
        step = state.step + 1
        return State(state.key, step, mean, sigma, rest, pushed, best, **follow_all(numbers, state, step)), info

    def force(state):
        """float[particles, n]: what drives particles apart, the gradient of the kernel."""
        rows = jax.vmap(lambda x: trees.ravel(x, state.sigma.dtype))(state.mean)
        rows = rows - jnp.mean(rows, axis=0, keepdims=True)
        width = state.sigma * jnp.sqrt(jnp.sum(state.particles.root**2, axis=(1, 2)))  # distance of members from means
        # Lengths are squared in a unit in which no square overflows.
        per_unit = 1 / jnp.maximum(jnp.maximum(jnp.max(width), jnp.max(jnp.abs(rows))), jnp.finfo(rows.dtype).tiny)
        own = 2 * jnp.mean((width * per_unit) ** 2)
        return per_unit * stein.kernel(rows * per_unit, state.bandwidth, own)[1]

    def recommend(state):
        return jax.tree.map(lambda x: x[state.best], state.mean)

    return Strategy(init, ask, tell, recommend, population_size, blocks)
