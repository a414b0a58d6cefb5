"""What a strategy is: three pure functions and a way to read the answer."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxes.support import trees


class Info(NamedTuple):
    """What one generation was like; scalars only, so that `scan` can stack it. NaN where there is no such thing."""

    best: jax.Array  # float[]: highest fitness
    mean: jax.Array  # float[]: mean of the valid fitnesses
    worst: jax.Array  # float[]: lowest valid fitness
    elites: jax.Array  # int32[]: members above the mean
    invalid: jax.Array  # int32[]: members whose fitness is NaN
    grad_norm: jax.Array  # float[]: Euclidean norm of the gradient estimate
    update_ratio: jax.Array  # float[]: norm of the parameters' change / norm of the parameters
    sigma: jax.Array  # float[]: the step size that was used (root mean square if there are many)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Deviations:
    """How far a Gaussian strategy's members are spread around its mean."""

    coordinates: Any  # a tree like the parameters: the standard deviation of each
    sigma: jax.Array  # float[]: the step size
    root: jax.Array | None = None  # float[n, n]: A, where members are mean + sigma * A z with a full covariance
    exact: bool = dataclasses.field(default=False, metadata={"static": True})
    """Whether what rounding takes off the mean is kept beside it."""


class Init(Protocol):
    """Begin a search."""

    def __call__(self, key: jax.Array, params: Any, *args: Any, **numbers: Any) -> Any:
        """The state before the first generation.

        Args:
            key: one typed key, of all randomness.
            params: where to start: a tree of float arrays.
            **numbers: override the factory's (`sigma=0.1`); each is a scalar and may be traced.
        """
        ...


class Ask(Protocol):
    """Read the members of a generation; the state stays as it is."""

    def __call__(self, state: Any, ids: Any = None) -> Any:
        """A population, leaves [k, *leaf.shape].

        Args:
            state: of the strategy.
            ids: int[k] or a `jaxes.Block`, which members; None for all `population_size`.
        """
        ...


class Tell(Protocol):
    """Learn from a generation."""

    def __call__(self, state: Any, fitness: jax.Array, *args: Any, **how: Any) -> tuple[Any, Info]:
        """The state after this generation, and what it was like.

        Args:
            state: as it was asked.
            fitness: float[population_size], higher is better; NaN for a failed evaluation.
            **how: `comm`, how sums over members travel between devices (`jaxes.blocks.over_blocks`), if it is another
                than "blocks".
        """
        ...


class Recommend(Protocol):
    """Read the answer."""

    def __call__(self, state: Any) -> Any:
        """The parameters to deploy: the mean, or the best member where there is no mean."""
        ...


class Strategy(NamedTuple):
    """An evolution strategy. Every function is pure and goes through `jit`, `vmap`, `scan` and a checkpoint.

    The state is a NamedTuple that begins with `key` (never consumed: generation `t` draws from `fold_in(key, t)`) and
    `step` (int32, generations told so far) and holds every number of the strategy.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> strategy.ask(state).shape, strategy.population_size
    ((8, 3), 8)
    """

    init: Init
    ask: Ask
    tell: Tell
    recommend: Recommend
    population_size: int
    blocks: int = 1
    """Parts that the population is evaluated in, one at a time, and dealt to devices in."""
    stream: "Stream | None" = None
    deviations: Callable[[Any], Deviations] | None = None
    """`deviations(state)` of a Gaussian strategy whose standard deviations can be read; None for others"""


class Stream(NamedTuple):
    """How a strategy learns from a block of its population while it still has the block's noise.

    So a generation in blocks draws every perturbation once, not once to ask and once more to tell.
    """

    ask: Callable[..., tuple[Any, Any]]
    """`ask(state, block) -> (members, noise)`"""
    add: Callable[..., Any]
    """`add(fitness float[block.size], noise) -> sums`, a tree that is added up over the blocks"""
    tell: Callable[..., Any]
    """`tell(state, fitness, sums, comm) -> (state, info)`"""


def summarize(fitness: jax.Array, old: Any, new: Any, sigma: Any, grad_norm: jax.Array | None = None) -> Info:
    """The `Info` of a generation.

    Args:
        fitness: float[population_size].
        old: the parameters before the update, as recommended.
        new: the parameters after the update.
        sigma: the step sizes that were used: a scalar, or a tree.
        grad_norm: float[], or None where there is no gradient.
    """
    valid = ~jnp.isnan(fitness)
    count = jnp.sum(valid)
    some = count > 0
    nan = jnp.asarray(jnp.nan, fitness.dtype)
    mean = jnp.where(some, jnp.sum(jnp.where(valid, fitness, 0)) / jnp.maximum(count, 1).astype(fitness.dtype), nan)
    return Info(
        best=jnp.where(some, jnp.max(jnp.where(valid, fitness, -jnp.inf)), nan),
        mean=mean,
        worst=jnp.where(some, jnp.min(jnp.where(valid, fitness, jnp.inf)), nan),
        elites=jnp.sum(fitness > mean, dtype=jnp.int32),
        invalid=jnp.sum(~valid, dtype=jnp.int32),
        grad_norm=nan if grad_norm is None else grad_norm.astype(fitness.dtype),
        update_ratio=(trees.norm(jax.tree.map(jnp.subtract, new, old)) / trees.norm(old)).astype(fitness.dtype),
        sigma=(trees.norm(sigma) * trees.size(sigma) ** -0.5).astype(fitness.dtype),
    )
