"""What a strategy is: three pure functions and a way to read the answer."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, Protocol, get_args

import jax
import jax.numpy as jnp

from jaxes import schedules
from jaxes.support import checks, numerals, trees
from jaxes.support.labels import label_of, labelled
from jaxes.support.memoized import memoized, pickled, recipe

P = ParamSpec("P")
_FACTORIES: dict[str, Callable[..., Any]] = {}


class Info(NamedTuple):
    """What one generation was like; scalars only, so that `scan` can stack it. NaN where no fitness is valid."""

    best: jax.Array  # float[]: highest fitness
    mean: jax.Array  # float[]: mean of the valid fitnesses
    worst: jax.Array  # float[]: lowest valid fitness
    elites: jax.Array  # int32[]: members above the mean
    invalid: jax.Array  # int32[]: members whose fitness is NaN
    grad_norm: jax.Array | None  # float[]: Euclidean norm of the gradient estimate; None for strategies without one
    update_ratio: jax.Array  # float[]: norm of the parameters' change / norm of the parameters
    sigma: jax.Array  # float[]: the step size that was used (root mean square if there are many)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Deviations:
    """How far a Gaussian strategy's members are spread around its mean."""

    coordinates: Any  # a tree like the parameters: the standard deviation of each
    sigma: jax.Array  # float[]: the step size
    root: jax.Array | None = None  # float[n, n]: A, where members are mean + sigma * A z with a full covariance
    mean: Any = None  # a tree like the parameters: the mean that they are around, where wrappers recommend another
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the factory was given, where a factory made it."""
        return pickled(self)


def strategy_factory(make: Callable[P, Strategy]) -> Callable[P, Strategy]:
    """A factory of strategies that returns the same strategy for the same settings, and whose functions refuse a state
    that is no state of theirs."""

    numbers = {
        name
        for name, parameter in inspect.signature(make).parameters.items()
        if set(get_args(schedules.Number)) <= set(get_args(parameter.annotation))
    }

    @memoized
    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Strategy:
        for name, value in inspect.signature(make).bind(*args, **kwargs).arguments.items():
            if name in numbers:
                schedules.check(name, value)
        strategy = make(*args, **kwargs)
        if recipe(strategy) is not None:
            return strategy  # of another factory
        return _guarded(strategy, f"{make.__name__} with population_size={strategy.population_size}")

    _FACTORIES[make.__name__] = made
    return made


def _guarded(strategy: Strategy, label: str) -> Strategy:
    """The strategy with functions that look at their state first."""

    @functools.wraps(strategy.init)
    def init(*args, **numbers):
        return labelled(strategy.init(*args, **numbers), label)

    @functools.wraps(strategy.ask)
    def ask(state, ids=None):
        return strategy.ask(_own(state, label), ids)

    @functools.wraps(strategy.tell)
    def tell(state, fitness, *args, **how):
        new, info = strategy.tell(_own(state, label), fitness, *args, **how)
        return (labelled(new, label) if label_of(state) else new), info

    @functools.wraps(strategy.recommend)
    def recommend(state):
        return strategy.recommend(_own(state, label))

    return strategy._replace(init=init, ask=ask, tell=tell, recommend=recommend)


def is_state(value: Any) -> bool:
    """Whether a value is the state of some strategy: a NamedTuple with a key and a step."""
    return hasattr(value, "_fields") and hasattr(value, "key") and hasattr(value, "step")


def _own(state: Any, label: str) -> Any:
    """Return `state` if it may be one of the strategy with this label."""
    wanted = f"state must be what init of this strategy ({label}) returns"
    if not is_state(state):
        got = f"{state.dtype}{list(state.shape)}" if hasattr(state, "dtype") else repr(type(state))
        key = hasattr(state, "dtype") and jnp.issubdtype(state.dtype, jax.dtypes.prng_key)
        raise TypeError(f"{wanted}, got {got}" + ("; it comes first, and no key is given: it has one" if key else ""))
    if label_of(state) not in (None, label):
        raise ValueError(f"{wanted}, got a state of {label_of(state)}")
    return state


def checked(strategy: Any) -> "Strategy":
    """Return `strategy` if it is one; raise with what makes one otherwise."""
    if isinstance(strategy, Strategy):
        return strategy
    raise TypeError(f"strategy must be a jaxes.Strategy such as {no_strategy(strategy)}")


def no_strategy(given: Any) -> str:
    """What to give instead of something that is no strategy, by the factory that is meant, and what was given.

    >>> no_strategy("CMA-ES")
    "jaxes.cma_es(population_size), got 'CMA-ES'"
    """
    function = given.func if isinstance(given, functools.partial) else given
    name = given if isinstance(given, str) else getattr(function, "__name__", None)
    got = f"the factory {name}, which is not called" if callable(function) and name else numerals.told(given)
    try:
        factory = _FACTORIES[checks.named("strategy", str(name), _FACTORIES)]
    except ValueError:
        return f"jaxes.open_es(256, 0.02), got {got}"
    needed = [p.name for p in inspect.signature(factory).parameters.values() if p.default is p.empty]
    where = "jaxes.wrappers" if factory.__module__.startswith("jaxes.wrappers.") else "jaxes"
    return f"{where}.{factory.__name__}({', '.join(needed)}), got {got}"


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
    mean = jnp.sum(jnp.where(valid, fitness, 0)) / jnp.maximum(count, 1).astype(fitness.dtype)
    mean = jnp.where(some, mean, jnp.nan)
    change, size = trees.norm(jax.tree.map(jnp.subtract, new, old)), trees.norm(old)
    ratio = jnp.where(size > 0, change / jnp.where(size > 0, size, 1), jnp.where(change > 0, jnp.inf, 0))
    return Info(
        best=jnp.where(some, jnp.max(jnp.where(valid, fitness, -jnp.inf)), jnp.nan),
        mean=mean,
        worst=jnp.where(some, jnp.min(jnp.where(valid, fitness, jnp.inf)), jnp.nan),
        elites=jnp.sum(fitness > mean, dtype=jnp.int32),
        invalid=jnp.sum(~valid, dtype=jnp.int32),
        grad_norm=None if grad_norm is None else grad_norm.astype(fitness.dtype),
        update_ratio=ratio.astype(fitness.dtype),
        sigma=(trees.norm(sigma) * trees.size(sigma) ** -0.5).astype(fitness.dtype),
    )
