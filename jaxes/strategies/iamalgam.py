"""iAMaLGaM: a Gaussian fitted to the best members, anticipating its own shift and kept from collapsing too early.

Bosman, Grahl, Thierens: "Benchmarking Parameter-Free AMaLGaM on Functions With and Without Noise", Evolutionary
Computation 21 (2013) 445-469, doi:10.1162/EVCO_a_00094: the incremental variant, with full or univariate covariance.
Of the paper's parts: maximum-likelihood estimates averaged over generations, anticipated mean shift (AMS), adaptive
variance scaling (AVS) with the standard-deviation ratio (SDR), an elite that is selected from but not evaluated again.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Block, Comm, over_blocks
from jaxes.schedules import Number, follow_all, start, start_all
from jaxes.shaping import finite
from jaxes.strategies.parts import flat
from jaxes.strategies.parts.flat import by_chunks
from jaxes.strategy import Strategy, summarize
from jaxes.support import checks, ranking, trees
from jaxes.support.memoized import memoized

SELECTED = 0.35  # tau, the part of the population that the Gaussian is fitted to
PATIENCE = 25  # generations without improvement, beside one for each parameter, before c_mult falls below one

LEAST = 1e-10  # of the multiplier, where the paper's runs end
FARTHEST = 1e15  # sigmas that the elite counts as away: its square is a number in f32


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: root mean square deviation of the coordinates, without the multiplier
    covariance: jax.Array  # float[n, n], or float[n] if univariate: in units of sigma^2
    factor: jax.Array  # float[n, n], or float[n]: its Cholesky factor L
    shift: jax.Array  # float[n]: average change of the mean, in units of sigma
    multiplier: jax.Array  # float[]: c_mult, of the covariance
    stretch: jax.Array  # int32[]: generations without improvement at a multiplier of at most one
    best: Any  # like the mean: the elite
    best_fitness: jax.Array  # float[]
    known: jax.Array  # bool[]: whether there is an elite
    eta_sigma: jax.Array  # float[]: rate of the covariance
    eta_shift: jax.Array  # float[]: rate of the shift
    delta_ams: jax.Array  # float[]: how many shifts ahead some members are placed
    eta_dec: jax.Array  # float[]: the multiplier's decrease, and its increase's inverse
    theta_sdr: jax.Array  # float[]: deviations from the mean beyond which improvements widen the search


@memoized
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

    The parameters are raveled into one vector inside; memory and time of the full covariance are those of n x n
    matrices, so n is at most 10,000 there, and linear in n for the univariate one. `tell` compares with the best
    fitness ever, so it expects fitness that means the same in every generation.

    Args:
        population_size: new members per generation, 2 or more (the paper's population also counts the elite); the
            paper's choice is 10 sqrt n for the full covariance and 4 sqrt n for the univariate one, at least 6.
        sigma: initial standard deviation of every coordinate, in units of the parameters.
        covariance: "full", or "univariate" for a diagonal one.
        eta_sigma, eta_shift: rates of the covariance and of the mean's shift, numbers or optax schedules; the paper's
            for n parameters and this population by default.
        delta_ams: shifts (times the multiplier) that a part of the members is moved ahead.
        eta_dec: factor by which the covariance's multiplier shrinks without improvement; it grows by its inverse.
        theta_sdr: how many standard deviations from the mean improvements must be for the multiplier to grow.
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
    if covariance not in ("full", "univariate"):
        raise ValueError(f"covariance must be 'full' or 'univariate', got {covariance!r}")
    full, default = covariance == "full", sigma
    given: dict[str, Number | None] = {
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

    def init(key, params, *, sigma=None, **rates) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        n = flat.check_matrix("iamalgam(covariance='full')", params, dtype) if full else trees.size(params)
        identity = jnp.eye(n, dtype=dtype) if full else jnp.ones(n, dtype)
        return State(
            key=checks.key(key),
            step=jnp.int32(0),
            mean=params,
            sigma=start("sigma", sigma, default, dtype, exclusive=True),
            covariance=identity,
            factor=identity,
            shift=jnp.zeros(n, dtype),
            multiplier=jnp.ones((), dtype),
            stretch=jnp.int32(0),
            best=params,
            best_fitness=jnp.zeros((), dtype),
            known=jnp.asarray(False),
            **start_all(given, rates, defaults(full, n, selected), dtype, exclusive=("eta_dec",)),
        )

    def ahead(state, which):
        """How far AMS moves each of these members, in shifts: float[units]."""
        ids = which.ids if isinstance(which, Block) else which
        return jnp.where(ids < anticipating, state.multiplier * state.delta_ams, 0)

    def steps(state, which):
        z = flat.normals(state, which, state.shift.shape[0])
        y = by_chunks(lambda rows: flat.times(rows, state.factor.T), z) if full else z * state.factor[None]
        return jnp.sqrt(state.multiplier) * y + ahead(state, which)[:, None] * state.shift[None]

    def ask(state, ids=None):
        return flat.members(state, ids, population_size, lambda which: steps(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness = checks.fitness(fitness, population_size, state.sigma.dtype)
        valid = ~jnp.isnan(fitness)
        some = jnp.any(valid)
        values = jnp.where(valid, finite(fitness), jnp.nan)
        elite_value = jnp.where(state.known, state.best_fitness, jnp.nan)
        weights = ranking.recombination(jnp.asarray(table, values.dtype), jnp.concatenate([elite_value[None], values]))
        better = state.known & (values > state.best_fitness)
        count = jnp.maximum(jnp.sum(better), 1).astype(values.dtype)
        share = jnp.where(better, 1 / count, 0)

        def block(part):
            y, w = steps(state, part), part.of(weights[1:])
            second = flat.times((w[:, None] * y).T, y) if full else flat.times(w, y**2)
            return (), (flat.times(w, y), second, flat.times(part.of(share), y))

        _, (first, second, improved) = over_blocks(block, population_size, blocks, comm)
        multiplier, stretch = scaled(state, jnp.any(better), improved)

        # The elite, and what the selected (with the old elite) say about mean and covariance, in units of sigma.
        here = trees.ravel(state.mean, values.dtype)
        relative = lambda params: jnp.clip(
            (trees.ravel(params, values.dtype) - here) * (1 / state.sigma), -FARTHEST, FARTHEST
        )
        elite = jnp.where(state.known, relative(state.best), 0)
        top = jnp.argmax(jnp.where(valid, values, -jnp.inf))
        leads = ~state.known | (values[top] > state.best_fitness)
        best = trees.where(leads, jax.tree.map(lambda x: x[0], ask(state, top[None])), state.best)
        best_fitness = jnp.where(leads, values[top], state.best_fitness)
        center = first + weights[0] * elite
        center = jnp.where(multiplier < 1, relative(best), center)  # the search turns to the best
        product = (lambda a, b: a[:, None] * b[None, :]) if full else (lambda a, b: a * b)
        mixed = first + weights[0] * elite
        spread = second + weights[0] * product(elite, elite) + product(center, center)
        spread = spread - product(center, mixed) - product(mixed, center)
        if not full:
            spread = jnp.maximum(spread, 0)
        covariance = (1 - state.eta_sigma) * state.covariance + state.eta_sigma * spread
        rate = jnp.where(state.known, state.eta_shift, 1)
        shift = (1 - rate) * state.shift + rate * center
        mean = flat.moved(state.mean, state.sigma * center)

        # Units in which the mean variance is one.
        variance = jnp.mean(jnp.diagonal(covariance) if full else covariance)
        tiny = jnp.finfo(variance.dtype).tiny
        variance = jnp.maximum(variance, tiny)
        sigma = jnp.maximum(state.sigma * jnp.sqrt(variance), tiny)
        covariance, shift = covariance * (1 / variance), shift * (1 / jnp.sqrt(variance))
        factor = cholesky(covariance) if full else jnp.sqrt(covariance)

        found = (best, best_fitness, jnp.asarray(True))
        new = (mean, sigma, covariance, factor, shift, multiplier, stretch, *found)
        new = trees.where(some, new, state[2:12])
        step = state.step + 1
        info = summarize(fitness, state.mean, new[0], jnp.sqrt(state.multiplier) * state.sigma)
        return State(state.key, step, *new, **follow_all(given, state, step)), info

    def scaled(state, any_better, improved):
        """AVS: the multiplier, and generations without improvement, after one with the mean improvement `improved`."""
        if full:
            white = jax.scipy.linalg.solve_triangular(state.factor, improved, lower=True)
        else:
            white = improved * (1 / jnp.maximum(state.factor, jnp.finfo(improved.dtype).tiny))
        ratio = jnp.max(jnp.abs(white)) * (1 / jnp.sqrt(state.multiplier))
        patience = PATIENCE + state.shift.shape[0]
        c = state.multiplier
        wider = jnp.maximum(c, 1)
        wider = jnp.where(ratio > state.theta_sdr, wider / state.eta_dec, wider)
        stretch = state.stretch + (c <= 1).astype(jnp.int32)
        narrower = jnp.where((c > 1) | (stretch >= patience), c * state.eta_dec, c)
        narrower = jnp.where((narrower < 1) & (stretch < patience), 1, narrower)
        multiplier = jnp.where(any_better, wider, jnp.maximum(narrower, LEAST))
        stretch = jnp.where(any_better, 0, stretch)
        # The first generation has no elite to improve on.
        return jnp.where(state.known, multiplier, c), jnp.where(state.known, stretch, state.stretch)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def cholesky(covariance: jax.Array) -> jax.Array:
    """The lower factor; without the correlations where rounding has made them indefinite."""
    lower = jnp.linalg.cholesky(covariance)
    deviation = jnp.sqrt(jnp.maximum(jnp.diagonal(covariance), jnp.finfo(covariance.dtype).tiny))
    return jnp.where(jnp.all(jnp.isfinite(lower)), lower, jnp.diag(deviation))


def defaults(full: bool, n: int, selected: int) -> dict[str, float]:
    """The paper's rates `1 - exp(a selected^b / n^c)`."""
    rate = lambda a, b, c: 1 - math.exp(a * selected**b / n**c)
    if full:
        return {"eta_sigma": rate(-1.1, 1.2, 1.6), "eta_shift": rate(-1.2, 0.31, 0.5)}
    return {"eta_sigma": rate(-0.4, 0.15, -0.034), "eta_shift": rate(-0.31, 0.27, 0.067)}
