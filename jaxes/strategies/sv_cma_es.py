"""Stein variational CMA-ES: several CMA searches, each with its own covariance, that keep apart.

Braun, Lange, Toussaint: "Stein Variational Evolution Strategies", UAI 2025, arXiv:2410.10390, Algorithm 1: the step of
each mean is its own CMA step plus the repulsion of the kernel, and the evolution paths see both.

Here the repulsion is multiplied by the particle's sigma^2. The kernel's gradient is a gradient of a log-density, in
units of 1/parameters, and CMA's own step is about sigma^2 times such a gradient; so both have one unit, and the search
does not depend on the scale of the parameters. Particles then keep apart by about sigma.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes import checks, stein, trees
from jaxes.blocks import Block
from jaxes.schedules import Number, follow, start
from jaxes.strategies.cma_es import cma_es
from jaxes.strategy import Strategy, summarize


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    particles: Any  # states of cma_es, leaves [particles, ...]; their own key and step are not used
    best: jax.Array  # int32[]: the particle whose members ranked best in the last generation
    bandwidth: jax.Array  # float[]: of the kernel, in units of the median heuristic's
    repulsion: jax.Array  # float[]: weight of the force between particles


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

    Every particle is a `cma_es` with an equal part of the population, consecutive members; memory is that of as many
    n x n matrices as there are particles, so n is at most 10,000.

    Args:
        population_size: members per generation of all particles together, divisible by particles.
        sigma: initial step size of every particle, in units of the parameters.
        particles: searches at once, 2 or more.
        spread: standard deviation of the particles' starts around the parameters, where the first of them starts;
            sigma by default.
        bandwidth: of the kernel, 1 for the median heuristic; a number or an optax schedule.
        repulsion: weight of the force that keeps particles apart, a number or an optax schedule.
        active: let the worse half take variance away, as in `cma_es`.
        blocks: the particles are updated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `bandwidth`, `repulsion`, and the rates of `cma_es`, which are the same for all
    particles.

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
            particles=every._replace(mean=means),
            best=jnp.int32(0),
            bandwidth=start("bandwidth", bandwidth, numbers["bandwidth"], dtype),
            repulsion=start("repulsion", repulsion, numbers["repulsion"], dtype),
        )

    def particle(state, index):
        """One particle's state, with its key and step."""
        mine = jax.tree.map(lambda x: x[index], state.particles)
        return mine._replace(key=jax.random.fold_in(state.key, index), step=state.step)

    def ask(state, ids=None):
        whole = Block(0, population_size) if ids is None else ids
        if (
            isinstance(whole, Block)
            and whole.size % each == 0
            and not (isinstance(whole.start, int) and whole.start % each)
        ):
            # Blocks of a strategy begin with a particle if they are made of whole ones.
            indices = whole.start // each + jnp.arange(whole.size // each)
            members = lax.map(lambda i: inner.ask(particle(state, i)), indices)
            return jax.tree.map(lambda x: x.reshape(whole.size, *x.shape[2:]), members)
        ids = whole.ids if isinstance(whole, Block) else checks.ids(whole)
        member = lambda i: jax.tree.map(lambda x: x[0], inner.ask(particle(state, i // each), (i % each)[None]))
        return lax.map(member, ids)

    def tell(state, fitness):
        old = state.particles
        dtype = old.sigma.dtype
        fitness = checks.fitness(fitness, population_size, dtype)
        rows = jax.vmap(lambda x: trees.ravel(x, dtype))(old.mean)
        apart = state.repulsion * (old.sigma**2)[:, None] * stein.kernel(rows, state.bandwidth)[1]

        def one(given):
            index, values, push = given
            return inner.tell(particle(state, index), values, push)[0]

        given = (jnp.arange(particles), fitness.reshape(particles, each), apart)
        told = lax.map(one, given, batch_size=max(1, particles // blocks))
        told = told._replace(key=old.key, step=old.step)
        some = ~jnp.all(jnp.isnan(fitness))
        best = jnp.where(some, stein.leader(fitness, particles), state.best)
        info = summarize(fitness, old.mean, told.mean, old.sigma)
        step = state.step + 1
        rates = {name: follow(value, getattr(state, name), step) for name, value in numbers.items()}
        return State(state.key, step, told, best, **rates), info

    def recommend(state):
        return jax.tree.map(lambda x: x[state.best], state.particles.mean)

    return Strategy(init, ask, tell, recommend, population_size, blocks)
