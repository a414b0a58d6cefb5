"""A stateful ask/tell loop for plain NumPy objectives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.lowrank.population import materialize
from jaxes.strategies.open_es import open_es
from jaxes.strategy import Strategy


class ESOpt:
    """Ask for candidates, evaluate them in any way, tell their values.

    Args:
        x0: where to start, float[n] (or any tree of float arrays).
        sigma: initial standard deviation, in units of `x0`.
        population_size: candidates per generation.
        maximize: True if higher values are better, False if lower values are.
        strategy: a factory such as `jaxes.cma_es`; `jaxes.open_es` by default.
        seed: seed of all randomness.
        **options: options of the factory (`learning_rate=0.1`, ...).

    Raises:
        RuntimeError: at `tell`, if no candidates have been asked for since the last one.

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
        maximize: bool = True,
        strategy: Callable[..., Strategy] = open_es,
        seed: int = 0,
        **options: Any,
    ):
        self.strategy = strategy(population_size, sigma, **options)
        as_float = lambda x: x if jnp.issubdtype(jnp.result_type(x), jnp.floating) else jnp.asarray(x, float)
        self.state = self.strategy.init(jax.random.key(seed), jax.tree.map(as_float, x0))
        self.best: Any = None
        """The best candidate told so far, None before the first."""
        self.best_value: float | None = None
        """The value that `best` was told with, None before the first."""
        self.info: Any = None
        """The `Info` of the last generation, in terms of fitness (higher is better)."""
        self._sign = 1.0 if maximize else -1.0
        self._ask = jax.jit(lambda state: materialize(self.strategy.ask(state)))
        self._tell = jax.jit(self.strategy.tell)
        self._asked: Any = None

    def ask(self) -> Any:
        """The candidates of this generation: float[population_size, n] for a vector `x0`."""
        self._asked = jax.tree.map(np.array, self._ask(self.state))
        return self._asked

    def tell(self, values: Any) -> None:
        """Tell one value per candidate, in the order of `ask`; NaN marks a failed evaluation."""
        if self._asked is None:
            raise RuntimeError("tell must follow ask: no candidates have been asked for")
        values = np.asarray(values, dtype=float)
        fitness = self._sign * values
        self.state, self.info = self._tell(self.state, fitness)
        if not np.isnan(fitness).all():
            i = int(np.nanargmax(fitness))
            if self.best_value is None or fitness[i] > self._sign * self.best_value:
                self.best_value = float(values[i])
                self.best = jax.tree.map(lambda x: x[i], self._asked)
        self._asked = None

    @property
    def mean(self) -> Any:
        """What the strategy recommends: the distribution's mean, as NumPy arrays like `x0`."""
        return jax.tree.map(np.asarray, self.strategy.recommend(self.state))
