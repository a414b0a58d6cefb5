"""The cross-entropy method with a diagonal Gaussian and additive variance noise.

Szita, Lorincz: "Learning Tetris Using the Noisy Cross-Entropy Method", Neural Computation 18 (2006) 2936-2941, with the
update of Thiery, Scherrer: "Improvements on Learning Tetris with Cross Entropy", ICGA Journal 32 (2009): `fitted`.
Hafner et al.: "Learning Latent Dynamics for Planning from Pixels" (PlaNet), ICML 2019, arXiv:1811.04551: `clipped`.
Pinneri et al.: "Sample-efficient Cross-Entropy Method for Real-time Planning" (iCEM), CoRL 2020, arXiv:2008.06389:
`returning`, the momentum, and colored noise.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Block, Comm, over_blocks
from jaxes.lowrank.leaf import any_low_rank
from jaxes.noise import Noise, noise_of
from jaxes.schedules import Number
from jaxes.shaping import Shaping, top
from jaxes.strategies.parts import deviations, diagonal
from jaxes.strategies.parts.diagonal import moved
from jaxes.strategies.parts.generations import advance
from jaxes.strategies.parts.members import from_noise
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, keys, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: Any  # like the mean, f32 or wider: standard deviation of each coordinate
    variance_noise: jax.Array  # float[]: added to the variance of each coordinate
    minimum_sigma: jax.Array  # float[]: sigma never falls below it
    momentum: jax.Array  # float[]: the part of the old mean and sigma that stays
    low: Any  # like the mean: lower bounds, to which members are clipped; None without bounds
    high: Any  # like the mean: upper bounds; None without bounds
    kept: Any  # members that return in the next generation, leaves [k, ...]; None if there are none


@strategy_factory
def cem(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    elite_fraction: float = 0.1,
    variance_noise: Number = 0.0,
    minimum_sigma: Number = 0.0,
    momentum: Number = 0.0,
    low: Any = None,
    high: Any = None,
    kept_fraction: float = 0.0,
    weights: Shaping | None = None,
    noise: Noise | str | None = None,
    blocks: int = 1,
) -> Strategy:
    """The cross-entropy method.

    Without noise the variance soon collapses. Constant noise is the robust choice on Tetris (population 100, sigma 10,
    `variance_noise=4.0`); the decreasing noise of Szita and Lorincz is `lambda t: jnp.maximum(5 - t / 10, 0)`.

    Args:
        population_size: members per generation, 2 or more.
        sigma: initial standard deviation of every coordinate, in units of the parameters.
        elite_fraction: the part of the population that the Gaussian is fitted to; in (0, 1].
        variance_noise: added to the VARIANCE of each coordinate in every generation; a number or an optax schedule.
        minimum_sigma: standard deviations never fall below it; a number or an optax schedule.
        momentum: the part of the old mean and standard deviations that stays, below 1; a number or an optax schedule.
        low: lower bound: members are clipped to it, and the Gaussian is fitted to the clipped members; a number, or a
            prefix of the parameters' tree; None for no bound. (`jaxes.wrappers.bounded` reflects instead.)
        high: upper bound, likewise.
        kept_fraction: the part of the elite that returns in the next generation, in place of its last members; in
            [0, 1]. In the first generation the initial parameters stand in these places.
        weights: from fitness to the weights of the fit, each 0 or more, with sum 1, such as
            `jaxes.shaping.boltzmann()`; by default the elite has equal weights.
        noise: the kind of noise, dense and of variance 1, such as `jaxes.noise.colored()`; Gaussian by default.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `variance_noise`, `minimum_sigma`, `momentum`, `low`, `high`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.cem(100, 1.0)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=20)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-3)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    elites = checks.elite_count(elite_fraction, population_size)
    checks.real("kept_fraction", kept_fraction, "in [0, 1]", lambda x: 0 <= x <= 1)
    keep = round(kept_fraction * elites)
    weigh = top(elites) if weights is None else weights
    draw = noise_of(noise)
    bounds = {"low": low, "high": high}
    numbers = {"sigma": sigma, "variance_noise": variance_noise, "minimum_sigma": minimum_sigma, "momentum": momentum}

    def init(key, params, *, low=None, high=None, **given) -> State:
        params = checks.params(params)
        fields = diagonal.begin(key, params, numbers, given)
        checks.number("momentum", fields["momentum"], below=1.0)
        low, high = box({"low": low, "high": high}, bounds, params)
        kept = jax.tree.map(lambda x: jnp.broadcast_to(x, (keep, *x.shape)), params) if keep else None
        return State(mean=params, low=low, high=high, kept=kept, **fields)

    def sample(state, which):
        z = draw.sample(keys.of_generation(state), which, state.mean)
        if any_low_rank(z):
            raise ValueError("noise must be dense for cem, whose Gaussian has a variance for every parameter")
        return z

    def ask(state, ids=None):
        def member(_, drawn):
            z, index = drawn
            x = clipped(state, moved(state.mean, state.sigma, z))
            return returning(state, x, index - (population_size - keep)) if keep else x

        numbered = lambda which: (sample(state, which), which.ids if isinstance(which, Block) else which)
        return from_noise(ids, population_size, False, numbered, member)

    def steps(state, part):
        """Members minus the mean."""
        if state.low is None and not keep:
            return jax.tree.map(lambda s, z: s[None] * z.astype(s.dtype), state.sigma, sample(state, part))
        away = lambda s, x, mean: x.astype(s.dtype) - mean.astype(s.dtype)[None]
        return jax.tree.map(away, state.sigma, ask(state, part), state.mean)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.variance_noise.dtype)
        shares = weigh(order)

        def block(part):
            away = steps(state, part)
            add = lambda power: jax.tree.map(lambda x: trees.weighted_rows(part.of(shares), x**power), away)
            return (), (add(1), add(2))

        _, (first, second) = over_blocks(block, population_size, blocks, comm)
        mean, sigma = fitted(state, first, second)
        kept = best(ask, state, order, keep) if keep else None
        new = advance(state, numbers, {"mean": mean, "sigma": sigma, "kept": kept}, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.diagonal)


# Szita & Lorincz 2006, Thiery & Scherrer 2009.
def fitted(state: State, first: Any, second: Any) -> tuple[Any, Any]:
    """The mean and sigma that fit the elite, averaged with the old ones.

    Args:
        state: the state of this generation.
        first: the weighted mean of the elite's steps from the mean, a tree like it.
        second: the weighted mean of their squares.
    """
    # Biased variance of the elite, E[x^2] - E[x]^2 and never below zero, plus the noise.
    deviation = lambda square, x: jnp.sqrt(jnp.maximum(square - x**2, 0) + state.variance_noise)
    rest = 1 - state.momentum
    mix = lambda old, new: jnp.maximum(state.momentum * old + rest * new, state.minimum_sigma)
    sigma = jax.tree.map(mix, state.sigma, jax.tree.map(deviation, second, first))
    return moved(state.mean, rest, first), sigma


# Hafner et al. 2019.
def clipped(state: State, member: Any) -> Any:
    """The member within the bounds, if there are any."""
    return member if state.low is None else jax.tree.map(jnp.clip, member, state.low, state.high)


def box(given: dict[str, Any], default: dict[str, Any], params: Any) -> tuple[Any, Any]:
    """Both bounds as trees like `params`, or None twice."""
    chosen = {name: default[name] if value is None else value for name, value in given.items()}
    if all(value is None for value in chosen.values()):
        return None, None
    ends = {"low": -jnp.inf, "high": jnp.inf}
    low, high = (trees.like(ends[name] if value is None else value, params, name) for name, value in chosen.items())
    checks.ordered(low, high)
    return low, high


# Pinneri et al. 2020.
def returning(state: State, member: Any, index: jax.Array) -> Any:
    """The kept member `index` (int32[]) in place of `member`, or `member` where the index is below zero."""
    old = jax.tree.map(lambda x: x[jnp.maximum(index, 0)], state.kept)
    return trees.where(index >= 0, old, member)


def best(ask: Any, state: State, fitness: jax.Array, count: int) -> Any:
    """The `count` best members, to be kept."""
    return ask(state, jax.lax.top_k(jnp.where(jnp.isnan(fitness), -jnp.inf, fitness), count)[1])
