"""Which run a checkpoint is of: the strategy, the key, and the numbers that the strategy began with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.strategy import Strategy
from jaxes.support.labels import label_of


def origin(strategy: Strategy, state: Any, key: jax.Array, params: Any) -> dict[str, Any]:
    """What is kept of a run, in a form that JSON can hold.

    Args:
        strategy: of the run.
        state: of the strategy, before the first generation.
        key: of the run.
        params: where it starts. They are no part of the origin: a checkpoint holds what has become of them.

    Returns:
        "strategy" (in words), "key" (in words), and "numbers": those of the state that have one value each, by name.

    >>> import jaxes
    >>> strategy, key = jaxes.open_es(8, 0.5), jax.random.key(3)
    >>> found = origin(strategy, strategy.init(key, jnp.ones(2)), key, jnp.ones(2))
    >>> found["strategy"], found["key"], found["numbers"]["sigma"]
    ('open_es with population_size=8', 'threefry2x32 [0, 3]', 0.5)
    """
    numbers = {}
    for name, leaf in _settings(state, jax.tree.structure(params)):
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) and leaf.size and leaf.dtype != bool:
            values = np.asarray(leaf)
            least, most = float(values.min()), float(values.max())
            if least == most and np.isfinite(least):
                numbers[name] = least
    labels = list(dict.fromkeys(_labels(state)))
    name = " of ".join(labels) or f"a strategy with population_size={strategy.population_size}"
    data = np.asarray(jax.random.key_data(key)).tolist()
    return {"strategy": name, "key": f"{jax.random.key_impl(key)} {data}", "numbers": numbers}


def differences(have: dict[str, Any], want: dict[str, Any]) -> list[str]:
    """The differences between the origin of a checkpoint and that of a run that would go on with it, in words.

    Numbers may differ by rounding, as they do from one kind of device to another.
    """
    out = [f"{name} is {have[name]}, wanted {want[name]}" for name in ("strategy", "key") if have[name] != want[name]]
    if have["strategy"] == want["strategy"]:
        one, other = have["numbers"], want["numbers"]
        unlike = [n for n in want["numbers"] if n in one and not np.isclose(one[n], other[n], rtol=1e-4, atol=1e-9)]
        out += [f"{name} began as {one[name]:g}, wanted {other[name]:g}" for name in unlike]
    return out


def _settings(state: Any, params: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of a state by their names, but for those of fields that are like the parameters and no sigma."""
    if not hasattr(state, "_fields"):
        leaves = jax.tree_util.tree_leaves_with_path(state)
        return [(name + jax.tree_util.keystr(path), x) for path, x in leaves if hasattr(x, "dtype")]
    found = []
    for field, value in zip(state._fields, state, strict=True):
        is_moved = "sigma" not in field and not hasattr(value, "_fields") and jax.tree.structure(value) == params
        if not is_moved:
            found += _settings(value, params, f"{name}.{field}" if name else field)
    return found


def _labels(state: Any) -> list[str]:
    """The labels of a state and of the states in it."""
    if not isinstance(state, tuple):
        return []
    own = label_of(state)
    return ([] if own is None else [own]) + [label for part in state for label in _labels(part)]
