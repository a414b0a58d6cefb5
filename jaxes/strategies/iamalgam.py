"""iAMaLGaM: a Gaussian fitted to the best members, anticipating its own shift and kept from collapsing too early.

Bosman, Grahl, Thierens: "Benchmarking Parameter-Free AMaLGaM on Functions With and Without Noise", Evolutionary
Computation 21 (2013) 445-469, doi:10.1162/EVCO_a_00094: the incremental variant, with full or univariate covariance.
It has four parts, one function each below: members are moved ahead (anticipated mean shift, AMS), the covariance is
multiplied by a factor (adaptive variance scaling, AVS, steered by the standard-deviation ratio, SDR), mean, covariance
and shift are maximum-likelihood estimates averaged over generations, and one elite is selected from but not evaluated
again. The paper's matrices are kept in units of sigma^2, which its distribution multiplier does not change.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Block, Comm, over_blocks
from jaxes.schedules import Number
from jaxes.shaping import finite
from jaxes.strategies.parts import flat
from jaxes.strategies.parts.covariances import DIAGONAL, FULL
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategies.parts.populations import leader
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, ranking, trees

SELECTED = 0.35  # tau, the part of the population that the Gaussian is fitted to
PATIENCE = 25  # c_mult falls below one after this many generations without improvement, and one more per parameter
LEAST = 1e-10  # the multiplier is held above this, where the paper's runs end
FARTHEST = 1e15  # the elite counts as at most this many sigmas away: the square of it is a number in f32


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: root mean square deviation of the coordinates, without the multiplier
    covariance: jax.Array  # float[n, n], or float[n] if univariate: in units of sigma^2
    factor: jax.Array  # float[n, n], or float[n]: L, its Cholesky factor
    shift: jax.Array  # float[n]: average change of the mean, in units of sigma
    multiplier: jax.Array  # float[]: c_mult, of the covariance
    stretch: jax.Array  # int32[]: NIS, generations without improvement at a multiplier of at most one
    best: Any  # like the mean: the elite
    best_fitness: jax.Array  # float[]: the elite's fitness, zero before there is one
    known: jax.Array  # bool[]: whether there is an elite
    eta_sigma: jax.Array  # float[]: rate of the covariance
    eta_shift: jax.Array  # float[]: rate of the shift
    delta_ams: jax.Array  # float[]: delta^AMS, how many shifts some members are moved ahead
    eta_dec: jax.Array  # float[]: eta^DEC, the multiplier's decrease, and the inverse of its increase
    theta_sdr: jax.Array  # float[]: theta^SDR, standard deviations beyond which improvements widen the search


@strategy_factory
def iamalgam(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    covariance: Literal["full", "univariate"] = "full",
    eta_sigma: Number | None = None,
    eta_shift: Number | None = None,
    delta_ams: Number = 2.0,
    eta_dec: Number = 0.9,
    theta_sdr: Number = 1.0,
    blocks: int = 1,
) -> Strategy:
    """Incremental AMaLGaM.

    The parameters are raveled into one vector inside. With the full covariance memory and time grow as for n x n
    matrices, so n is at most 10,000; with the univariate one they are linear in n. `tell` compares with the best
    fitness of all generations, so the fitness must mean the same in every generation.

    Args:
        population_size: new members per generation, 2 or more (the paper's population also counts the elite); the
            paper's choice is 10 sqrt n for the full covariance and 4 sqrt n for the univariate one, at least 6.
        sigma: initial standard deviation of every coordinate, in units of the parameters.
        covariance: "full", or "univariate" for a diagonal covariance.
        eta_sigma, eta_shift: rates of the covariance and of the mean's shift, numbers or optax schedules; the paper's
            for n parameters and this population by default.
        delta_ams: how far some of the members are moved ahead, in units of the shift times the multiplier.
        eta_dec: factor by which the covariance's multiplier shrinks without improvement; it grows by the inverse.
        theta_sdr: how many standard deviations from the mean an improvement must lie for the multiplier to grow.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `eta_sigma`, `eta_shift`, `delta_ams`, `eta_dec`, `theta_sdr`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.iamalgam(24, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(4))
    >>> ellipsoid = jaxes.minimize(lambda x: jnp.sum(10.0 ** jnp.arange(4) * x**2))
    >>> state, infos = jaxes.run(strategy, ellipsoid, state, generations=150)
    >>> bool(infos.best[-1] > -1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    checks.one_of("covariance", covariance, ("full", "univariate"))
    full = covariance == "full"
    kind = FULL if full else DIAGONAL
    numbers = {
        "sigma": sigma,
        "eta_sigma": eta_sigma,
        "eta_shift": eta_shift,
        "delta_ams": delta_ams,
        "eta_dec": eta_dec,
        "theta_sdr": theta_sdr,
    }
    total = population_size + 1  # with the elite
    selected = max(2, int(SELECTED * total))
    anticipating = int(0.5 * SELECTED * total)  # members that AMS moves
    table = np.where(np.arange(total) < selected, 1 / selected, 0)

    def init(key, params, **given) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        n = flat.check_matrix("iamalgam(covariance='full')", params, dtype) if full else trees.size(params)
        identity = kind.identity(n, dtype)
        return State(
            mean=params,
            covariance=identity,
            factor=identity,
            shift=jnp.zeros(n, dtype),
            multiplier=jnp.ones((), dtype),
            stretch=jnp.int32(0),
            best=params,
            best_fitness=jnp.zeros((), dtype),
            known=jnp.asarray(False),
            **begin(key, params, numbers, given, defaults(full, n, selected), ("sigma", "eta_dec")),
        )

    def steps(state, which):
        """Rows sqrt(c_mult) L z, some of them moved ahead, in units of sigma."""
        y = kind.times(state.factor, flat.normals(state, which, state.shift.shape[0]))
        ids = which.ids if isinstance(which, Block) else which
        return jnp.sqrt(state.multiplier) * y + anticipated(state, ids, anticipating)

    def ask(state, ids=None):
        return flat.members(state, ids, population_size, lambda which: steps(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        values, order = (jnp.where(jnp.isnan(x), jnp.nan, finite(x)) for x in (fitness, order))
        elite_value = jnp.where(state.known, state.best_fitness, jnp.nan)
        weights = ranking.recombination(jnp.asarray(table, values.dtype), jnp.concatenate([elite_value[None], order]))
        better = state.known & (values > state.best_fitness)
        count = jnp.maximum(jnp.sum(better), 1).astype(values.dtype)
        share = jnp.where(better, 1 / count, 0)

        def block(part):
            y, w = steps(state, part), part.of(weights[1:])
            return (), (flat.times(w, y), kind.second(w, y), flat.times(part.of(share), y))

        _, (first, second, improved) = over_blocks(block, population_size, blocks, comm)
        multiplier, stretch = scaled(state, jnp.any(better), kind.solve(state.factor, improved))
        best, best_fitness = elite_of(state, values, leader(order))
        elite = {"best": best, "best_fitness": best_fitness, "known": jnp.asarray(True)}
        fit = estimated(state, first, second, weights[0], best, multiplier)
        after = advance(state, numbers, {**fit, **elite, "multiplier": multiplier, "stretch": stretch}, fitness)
        return after, summarize(fitness, state.mean, after.mean, jnp.sqrt(state.multiplier) * state.sigma)

    def elite_of(state, values, top):
        """The best member of this generation, or the old elite if that is as good, and its fitness."""
        leads = ~state.known | (values[top] > state.best_fitness)
        best = trees.where(leads, jax.tree.map(lambda x: x[0], ask(state, top[None])), state.best)
        return best, jnp.where(leads, values[top], state.best_fitness)

    def estimated(state, first, second, elite_weight, best, multiplier):
        """Mean, covariance and shift, estimated from the selected and averaged with the old ones.

        `first` and `second` are the sums of the selected members' steps and of their squares, in units of sigma.
        """
        here = trees.ravel(state.mean, first.dtype)
        relative = lambda params: jnp.clip(
            (trees.ravel(params, first.dtype) - here) * (1 / state.sigma), -FARTHEST, FARTHEST
        )
        elite = jnp.where(state.known, relative(state.best), 0)
        mixed = first + elite_weight * elite
        center = jnp.where(multiplier < 1, relative(best), mixed)  # below one the search turns to the best
        around = second + elite_weight * kind.product(elite, elite) + kind.product(center, center)
        around = kind.valid(around - kind.product(center, mixed) - kind.product(mixed, center))
        covariance = (1 - state.eta_sigma) * state.covariance + state.eta_sigma * around
        rate = jnp.where(state.known, state.eta_shift, 1)  # the first shift is taken as it is
        shift = (1 - rate) * state.shift + rate * center

        # Units in which the mean variance is one.
        variance = jnp.mean(kind.variances(covariance))
        tiny = jnp.finfo(variance.dtype).tiny
        variance = jnp.maximum(variance, tiny)
        covariance = covariance * (1 / variance)
        return {
            "mean": flat.moved(state.mean, state.sigma * center),
            "sigma": jnp.maximum(state.sigma * jnp.sqrt(variance), tiny),
            "covariance": covariance,
            "factor": kind.root(covariance),
            "shift": shift * (1 / jnp.sqrt(variance)),
        }

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def anticipated(state: State, ids: jax.Array, count: int) -> jax.Array:
    """AMS: the first `count` members are moved ahead, by the mean's shift times `delta_ams * c_mult`; float[k, n]."""
    return jnp.where(ids < count, state.multiplier * state.delta_ams, 0)[:, None] * state.shift[None]


def scaled(state: State, any_better: jax.Array, white: jax.Array) -> tuple[jax.Array, jax.Array]:
    """AVS: the multiplier, and generations without improvement, after one more generation.

    Args:
        state: the state of this generation.
        any_better: bool[]: whether a member is better than the elite.
        white: float[n]: the mean of these better members, as the z that it would be drawn from at a multiplier of one.
    """
    c, patience = state.multiplier, PATIENCE + state.shift.shape[0]
    # SDR: improvements far from the mean widen the search.
    ratio = jnp.max(jnp.abs(white)) * (1 / jnp.sqrt(c))
    wider = jnp.maximum(c, 1)
    wider = jnp.where(ratio > state.theta_sdr, wider / state.eta_dec, wider)
    # Without improvement the search narrows, but not below a multiplier of one until patience is over.
    stretch = state.stretch + (c <= 1).astype(jnp.int32)
    narrower = jnp.where((c > 1) | (stretch >= patience), c * state.eta_dec, c)
    narrower = jnp.where((narrower < 1) & (stretch < patience), 1, narrower)
    multiplier = jnp.where(any_better, wider, jnp.maximum(narrower, LEAST))
    stretch = jnp.where(any_better, 0, stretch)
    # The first generation has no elite to improve on.
    return jnp.where(state.known, multiplier, c), jnp.where(state.known, stretch, state.stretch)


def defaults(full: bool, n: int, selected: int) -> dict[str, float]:
    """The paper's rates `1 - exp(a selected^b / n^c)`."""
    rate = lambda a, b, c: 1 - math.exp(a * selected**b / n**c)
    if full:
        return {"eta_sigma": rate(-1.1, 1.2, 1.6), "eta_shift": rate(-1.2, 0.31, 0.5)}
    return {"eta_sigma": rate(-0.4, 0.15, -0.034), "eta_shift": rate(-0.31, 0.27, 0.067)}
