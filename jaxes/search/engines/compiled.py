"""The search of any strategy, in compiled programs in float64."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes import termination
from jaxes.lowrank.population import materialize
from jaxes.search.arguments.doubles import in_doubles, made
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.kept import kept
from jaxes.strategies import STRATEGIES
from jaxes.strategy import Info, Strategy
from jaxes.support import trees
from jaxes.support.numerals import in_order
from jaxes.termination import REASONS
from jaxes.wrappers import bounded, integer


class CompiledEngine:
    """See `jaxes.search.engines.engine.Engine`.

    Args:
        settings: of the search.
        run: its number, from 0: each has a key of its own.
        size: members per generation.
        sigma: initial step size.
        start: where to start, a tree of float64 arrays.
    """

    def __init__(self, settings: Settings, run: int, size: int, sigma: float, start: Any):
        shapes = tuple(np.shape(x) for x in jax.tree.leaves(start))
        whole = None if settings.whole is None else (tuple(settings.whole.tolist()), jax.tree.structure(start), shapes)
        inside = 1.0 if _sets_sigma(settings.factory) else sigma
        self.strategy = in_doubles(made)(settings.factory, size, inside, settings.options)
        self._placed = settings.box is not None, whole
        self.size = self.strategy.population_size
        self._units = trees_like(start, settings.units)
        key = in_doubles(lambda: jax.random.fold_in(jax.random.key(settings.seed), run))()
        numbers = {}
        if settings.box is not None:
            scaled = lambda side: jax.tree.map(np.divide, trees_like(start, side), self._units)
            numbers = {"low": scaled(settings.box.low), "high": scaled(settings.box.high)}
        begun = jax.tree.map(np.divide, start, self._units)
        whole_strategy = in_doubles(placed)(self.strategy, *self._placed)
        self._state = in_doubles(whole_strategy.init)(key, begun, sigma=sigma, **numbers)
        mean = in_doubles(whole_strategy.recommend)(self._state)
        self._monitor = in_doubles(termination.start)(mean, self.size)
        self._tolerances = in_doubles(jax.tree.map)(lambda x: jnp.asarray(x, float), settings.tolerances)
        self._programs = self._compiled()
        self.mean = self._scaled(mean)
        self.sigma, self._deviation = sigma, sigma * settings.units
        self.info: Info | None = None

    @property
    def axis_lengths(self) -> np.ndarray:
        """float64[n]: the standard deviations of the coordinates, rising."""
        return np.sort(self._deviation)

    def ask(self) -> Any:
        return self._scaled(self._programs.ask(self._state))

    def tell(self, values: np.ndarray) -> tuple[list[str], dict[str, Any]]:
        fitness = in_order(-values, np.float64)
        told = self._programs.tell(self._state, self._monitor, self._tolerances, fitness)
        self._state, self._monitor, met, row, mean = told
        self.mean, self.info = self._scaled(mean), row["info"]
        units = np.concatenate([np.reshape(x, -1) for x in jax.tree.leaves(self._units)])
        flat = np.concatenate([np.reshape(x, -1) for x in jax.tree.leaves(self.mean)])
        self.sigma, self._deviation = float(row["sigma"]), np.asarray(row["deviation"]) * units
        row = {"sigma": self.sigma, "axis_ratio": float(row["axis_ratio"]), "mean": flat, "deviation": self._deviation}
        return [name for name, yes in zip(REASONS, np.asarray(met), strict=True) if yes], row

    def inject(self, points: list[Any]) -> None:
        """Refuse."""
        raise TypeError("inject needs strategy='cma_es': other strategies learn from members that they have drawn only")

    def widen(self, factor: float) -> None:
        """Multiply the step size."""
        from jaxes.wrappers.inside import has_sigma, with_sigma_times

        if has_sigma(self._state):
            self._state = in_doubles(with_sigma_times)(jnp.asarray(factor), self._state)

    def state(self) -> dict[str, np.ndarray]:
        leaves = jax.tree.leaves((self._state, self._monitor))
        arrays = {f"leaf {i}": _data(x) for i, x in enumerate(leaves)}
        flat = np.concatenate([np.reshape(x, -1) for x in jax.tree.leaves(self.mean)])
        return {**arrays, "mean": flat, "sigma": np.array(self.sigma), "deviation": self._deviation}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        leaves, tree = jax.tree.flatten((self._state, self._monitor))
        new = [in_doubles(_like)(state[f"leaf {i}"], x) for i, x in enumerate(leaves)]
        self._state, self._monitor = tree.unflatten(new)
        self.mean = trees_like(self.mean, state["mean"])
        self.sigma, self._deviation = float(state["sigma"]), np.array(state["deviation"])

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name != "_programs"}
        arrays = ("_state", "_monitor", "_tolerances", "info")
        return kept | {name: jax.tree.map(_packed, kept[name]) for name in arrays}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        arrays = ("_state", "_monitor", "_tolerances", "info")
        unpacked = in_doubles(jax.tree.map)
        self.__dict__.update(kept)
        for name in arrays:
            setattr(self, name, unpacked(_unpacked, kept[name], is_leaf=lambda x: isinstance(x, _Packed)))
        self._programs = self._compiled()

    def _compiled(self) -> "_Programs":
        inputs = self._state, self._monitor, self._tolerances
        described = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(inputs))
        return in_doubles(_programs)(
            self.strategy, *self._placed, _Inputs((described, jax.tree.structure(inputs)), inputs)
        )

    def _scaled(self, tree: Any) -> Any:
        return jax.tree.map(lambda x, unit: np.asarray(x) * unit, tree, self._units)


class _Programs(NamedTuple):
    """Of one population size; both are called in doubles."""

    ask: Callable[..., Any]
    tell: Callable[..., Any]


class _Inputs:
    """Arrays that stand for all of their shapes."""

    def __init__(self, key: Any, trees: tuple):
        self.key, self.trees = key, trees

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return self.key == other.key


@functools.lru_cache(maxsize=256)
def placed(strategy: Strategy, has_bounds: bool, whole: tuple | None) -> Strategy:
    """The strategy within bounds, on whole numbers.

    Args:
        strategy: as its factory has made it.
        has_bounds: whether there are bounds.
        whole: which numbers are whole, the structure of `x0` and its leaves' shapes.
    """
    if has_bounds:
        strategy = bounded(strategy, method="smooth")
    if whole is None:
        return strategy
    booleans, structure, shapes = whole
    return integer(strategy, trees_like(structure.unflatten([np.empty(shape) for shape in shapes]), np.array(booleans)))


@functools.lru_cache(maxsize=256)
def _programs(inside: Strategy, has_bounds: bool, whole: tuple | None, inputs: _Inputs) -> _Programs:
    """The programs, kept for later runs and later calls, and for later processes."""
    strategy = placed(inside, has_bounds, whole)

    def ask(state):
        return materialize(strategy.ask(state))

    def tell(state, monitor, tolerances, fitness):
        population = materialize(strategy.ask(state))
        state, info = strategy.tell(state, fitness)
        mean = strategy.recommend(state)
        deviations = None if strategy.deviations is None else strategy.deviations(state)
        monitor, met = termination.watch(monitor, tolerances, deviations, population, mean, fitness)
        wide = monitor.best.dtype
        spread = lambda: jax.tree.map(lambda x: jnp.std(x.astype(wide), axis=0), population)
        row = {
            "info": info,
            "sigma": info.sigma if deviations is None else deviations.sigma,
            "axis_ratio": jnp.sqrt(monitor.condition),
            "deviation": trees.ravel(spread() if deviations is None else deviations.coordinates, wide),
        }
        return state, monitor, met, row, mean

    state, monitor, tolerances = inputs.trees
    mean = jax.eval_shape(strategy.recommend, state)

    def told(leaves: int) -> Any:
        """A tree like what `tell` returns; only whether there is a gradient's norm is not known."""
        leaf: Any = 0
        info = Info(*[leaf] * len(Info._fields))
        row = {"info": info._replace(grad_norm=None), "sigma": 0, "axis_ratio": 0, "deviation": 0}
        without = state, monitor, 0, row, mean
        return without if len(jax.tree.leaves(without)) == leaves else (state, monitor, 0, row | {"info": info}, mean)

    recipe = inside, has_bounds, None if whole is None else (whole[0], str(whole[1]), whole[2])
    fitness = jnp.zeros(strategy.population_size)
    return _Programs(
        in_doubles(kept(ask, "ask", recipe, (state,), lambda leaves: mean)),
        in_doubles(kept(tell, "tell", recipe, (state, monitor, tolerances, fitness), told)),
    )


def trees_like(tree: Any, flat: np.ndarray) -> Any:
    """The numbers of a vector in a tree like another."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([np.size(x) for x in leaves])[:-1]
    return structure.unflatten(
        [part.reshape(np.shape(x)) for part, x in zip(np.split(flat, ends), leaves, strict=True)]
    )


def _sets_sigma(factory: Any) -> bool:
    """Whether `init` sets sigma, so that no new sigma needs new programs."""
    whole = factory.func if isinstance(factory, functools.partial) else factory
    return whole in STRATEGIES.values()


class _Packed(NamedTuple):
    """A leaf as NumPy has it, since JAX would read doubles as float32."""

    numbers: np.ndarray
    implementation: str | None  # of a key


def _packed(x: jax.Array) -> _Packed:
    return _Packed(_data(x), str(jax.random.key_impl(x)) if _is_key(x) else None)


def _unpacked(x: _Packed) -> jax.Array:
    numbers = jnp.asarray(x.numbers)
    return numbers if x.implementation is None else jax.random.wrap_key_data(numbers, impl=x.implementation)


def _data(x: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(x) if _is_key(x) else x)


def _like(data: np.ndarray, x: jax.Array) -> jax.Array:
    if _is_key(x):
        return jax.random.wrap_key_data(jnp.asarray(data), impl=jax.random.key_impl(x))
    return jnp.asarray(data, x.dtype)


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
