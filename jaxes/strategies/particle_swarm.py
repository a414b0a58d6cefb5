"""Particle swarm optimization: members fly, drawn to the best place that each has seen, and to the best place of all.

Kennedy, Eberhart: "Particle Swarm Optimization", ICNN 1995, with the constriction of Clerc, Kennedy: "The Particle
Swarm - Explosion, Stability, and Convergence in a Multidimensional Complex Space", IEEE Transactions on Evolutionary
Computation 6 (2002) 58-73: for accelerations that sum to phi = 4.1, chi = 2 / |2 - phi - sqrt(phi^2 - 4 phi)| = 0.7298.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import populations
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees

PHI = 4.1
CHI = 2 / abs(2 - PHI - math.sqrt(PHI**2 - 4 * PHI))


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    sigma: jax.Array  # float[]: standard deviation of the population, at first the one that it is drawn with
    inertia: jax.Array  # float[]: factor of a velocity from one generation to the next, chi
    cognitive: jax.Array  # float[]: acceleration to a member's own best place, chi * phi_1
    social: jax.Array  # float[]: acceleration to the best place of all, chi * phi_2
    population: Any  # leaves [population_size, *leaf.shape]: where the members are
    velocity: Any  # like the population
    places: Any  # like the population: the best place of each member
    fitness: jax.Array  # float[population_size]: fitness at these places, -inf before any


@strategy_factory
def particle_swarm(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    inertia: Number = CHI,
    cognitive: Number = CHI * PHI / 2,
    social: Number = CHI * PHI / 2,
    blocks: int = 1,
) -> Strategy:
    """Particle swarm optimization, where every member knows the best place of all (gbest) and begins at rest.

    The state holds three trees of the population's size: where members are, their velocities, and their best places.

    Args:
        population_size: members, 2 or more; 20 to 60 are usual.
        sigma: standard deviation of the first population around the start, which is member 0, in units of the
            parameters.
        inertia: factor of a velocity from one generation to the next; a number or an optax schedule.
        cognitive: acceleration to a member's own best place, times a uniform number for each coordinate; a number or an
            optax schedule.
        social: acceleration to the best place of all, likewise.
        blocks: the population is evaluated and moved in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `inertia`, `cognitive`, `social`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.particle_swarm(20, 1.0)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    numbers = {"sigma": sigma, "inertia": inertia, "cognitive": cognitive, "social": social}

    def init(key, params, **given) -> State:
        params = checks.params(params)
        fields = begin(key, params, numbers, given)
        population = populations.first(key, params, fields["sigma"], population_size)
        still = jax.tree.map(jnp.zeros_like, population)
        fitness = jnp.full(population_size, -jnp.inf, trees.number_dtype(params))
        return State(population=population, velocity=still, places=population, fitness=fitness, **fields)

    def make(state, ids):
        """Where members fly to, and their velocities; in the first generation they stay where they are."""
        best = recommend(state)

        def one(key, *rows):
            moved = lambda k, x, v, p, g: _moved(k, state, x, v, p, g)
            leaves, tree = jax.tree.flatten(rows[0])
            keys = tree.unflatten(jax.random.split(key, len(leaves)))
            out = jax.tree.map(moved, keys, *rows, best)
            return tuple(jax.tree.map(lambda _, pair, k=k: pair[k], rows[0], out) for k in range(2))

        rows = populations.take((state.population, state.velocity, state.places), ids)
        flown = jax.vmap(one)(populations.choice_keys(state, ids), *rows)
        return trees.where(state.step == 0, rows[:2], flown)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which)[0])

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, _ = checks.fitness(fitness, population_size, state.fitness.dtype)
        better = fitness >= state.fitness  # false for NaN

        def block(part):
            new, velocity = make(state, part.ids)
            places = populations.choose(part.of(better), new, populations.take(state.places, part.ids))
            return (new, velocity, places), ()

        (population, velocity, places), _ = over_blocks(block, population_size, blocks)
        flown = {"population": population, "velocity": velocity, "sigma": populations.dispersion(population)}
        known = {"places": places, "fitness": jnp.where(better, fitness, state.fitness)}
        new = advance(state, numbers, {**flown, **known}, fitness)
        return new, summarize(fitness, recommend(state), recommend(new), state.sigma)

    def recommend(state):
        return populations.take(state.places, populations.leader(state.fitness))

    return Strategy(init, ask, tell, recommend, population_size, blocks)


def _moved(key: jax.Array, state: Any, x: Any, v: Any, p: Any, g: Any) -> tuple[jax.Array, jax.Array]:
    """One leaf: v <- chi (v + U(0, phi_1) (p - x) + U(0, phi_2) (g - x)), x <- x + v (Clerc & Kennedy, eq. 4.16)."""
    wide = state.fitness.dtype
    own, shared = jax.random.uniform(key, (2, *x.shape), wide)
    here, speed = x.astype(wide), v.astype(wide)
    pull = state.cognitive * own * (p.astype(wide) - here) + state.social * shared * (g.astype(wide) - here)
    speed = state.inertia * speed + pull
    return (here + speed).astype(x.dtype), speed.astype(v.dtype)
