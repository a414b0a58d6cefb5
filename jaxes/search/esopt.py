"""A stateful ask/tell loop for plain NumPy objectives."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxes.lowrank.population import materialize
from jaxes.search import spellings
from jaxes.search.doubles import factory_of, in_doubles, made, positive, start_of
from jaxes.strategy import Strategy
from jaxes.support import checks
from jaxes.support.numerals import in_order, values_of


class ESOpt:
    """Ask for candidates, evaluate them in any way, tell their values.

    The search is in float64, whatever JAX's default is.

    Args:
        x0: where to start: float[n], a list or tuple of n numbers (or any tree of them).
        sigma: initial standard deviation, in units of `x0`.
        population_size: candidates per generation.
        maximize: True if higher values are better, False if lower values are; it must be given.
        strategy: a factory such as `jaxes.cma_es`, or its name; `jaxes.open_es` by default.
        seed: seed of all randomness, an int of 0 or more.
        **options: options of the factory (`learning_rate=0.1`, ...).

    Raises:
        TypeError: without `maximize`, and at `tell`, if the values are no real numbers.
        ValueError: at `tell`, if there are not as many values as candidates.
        RuntimeError: at `tell`, if no candidates have been asked for since the last one.

    It can be pickled, between two generations too, if the strategy is a factory's of this library.

    >>> import numpy as np
    >>> opt = ESOpt(np.ones(3), sigma=0.1, population_size=50, maximize=False, learning_rate=0.1)
    >>> for _ in range(60):
    ...     candidates = opt.ask()  # float[50, 3]
    ...     opt.tell(np.sum(candidates**2, axis=1))
    >>> bool(np.sum(opt.mean**2) < 0.1)
    True
    """

    def __init__(
        self,
        x0: Any,
        sigma: float = 0.1,
        population_size: int = 50,
        *,
        maximize: bool | None = None,
        strategy: Callable[..., Strategy] | str = "open_es",
        seed: int = 0,
        **options: Any,
    ):
        if not isinstance(maximize, bool | np.bool_):
            raise TypeError(
                "maximize must be given: True if higher values are better (a score), False if lower values are "
                f"(a cost); got {maximize!r}"
            )
        sigma, start = positive("sigma", sigma), start_of(x0)
        factory = factory_of(strategy)
        spellings.check(options, factory, loop=True)
        checks.integer("seed", seed, 0, 2**63 - 1)
        self.strategy = in_doubles(made)(factory, population_size, sigma, options)
        self.state = in_doubles(lambda: self.strategy.init(jax.random.key(seed), start))()
        self.best: Any = None
        """The best candidate told so far, None before the first."""
        self.best_value: float | None = None
        """The value that `best` was told with, None before the first."""
        self.info: Any = None
        """The `Info` of the last generation, in terms of fitness (higher is better)."""
        self._sign = 1.0 if maximize else -1.0
        self._asked: Any = None
        self._compile()

    def _compile(self) -> None:
        strategy = self.strategy
        self._ask = in_doubles(jax.jit(lambda state: materialize(strategy.ask(state))))
        self._tell = in_doubles(jax.jit(strategy.tell))

    def ask(self) -> Any:
        """The candidates of this generation: float[population_size, n] for a vector `x0`."""
        self._asked = jax.tree.map(np.asarray, self._ask(self.state))
        return jax.tree.map(np.array, self._asked)  # the caller may change them

    def tell(self, values: Any) -> None:
        """Tell one value per candidate, in the order of `ask`; NaN marks a failed evaluation."""
        if self._asked is None:
            raise RuntimeError("tell must follow ask: no candidates have been asked for")
        fitness = self._sign * values_of(values, self.strategy.population_size, "values")
        self.state, self.info = self._tell(self.state, in_order(fitness, np.float64))
        if not np.isnan(fitness).all():
            i = int(np.nanargmax(fitness))
            if self.best_value is None or fitness[i] > self._sign * self.best_value:
                self.best_value = float(self._sign * fitness[i])
                self.best = jax.tree.map(lambda x: np.array(x[i]), self._asked)
        self._asked = None

    @property
    def mean(self) -> Any:
        """What the strategy recommends: the distribution's mean, as NumPy arrays like `x0`."""
        return jax.tree.map(np.asarray, in_doubles(self.strategy.recommend)(self.state))

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in ("_ask", "_tell")}
        return {**kept, **{name: jax.tree.map(_data, kept[name]) for name in ("state", "info")}}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self.state, self.info = in_doubles(jax.tree.map)(_array, (self.state, self.info), is_leaf=_is_data)
        self._compile()


def _data(x: jax.Array) -> Any:
    """A leaf as NumPy arrays, since JAX would read doubles as float32: of a key, its numbers and its implementation."""
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        return {"key": np.asarray(jax.random.key_data(x)), "implementation": str(jax.random.key_impl(x))}
    return np.asarray(x)


def _array(x: Any) -> jax.Array:
    if _is_data(x):
        return jax.random.wrap_key_data(jax.numpy.asarray(x["key"]), impl=x["implementation"])
    return jax.numpy.asarray(x)


def _is_data(x: Any) -> bool:
    return isinstance(x, dict) and x.keys() == {"key", "implementation"}
