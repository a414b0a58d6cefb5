"""What strategies that search in one flat vector share: noise, members, products, and the largest size."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.noise import gaussian
from jaxes.strategies.parts.members import from_noise, signed
from jaxes.support import keys, trees

LARGEST = 10_000  # parameters that a strategy with an n x n matrix takes

_noise = gaussian()


def normals(state: Any, which: Any, n: int) -> jax.Array:
    """float[units, n]: the standard normal numbers of some units (a `Block` or int[k]) in the state's generation."""
    return draw(keys.of_generation(state), which, n, state.sigma.dtype)


def draw(key: jax.Array, units: Any, n: int, dtype: Any) -> jax.Array:
    """float[units, n]: the standard normal numbers of some units of a key."""
    return _noise.sample(key, units, jax.ShapeDtypeStruct((n,), dtype))


def members(
    state: Any, ids: Any, population_size: int, steps: Callable[[Any], jax.Array], antithetic: bool = False
) -> Any:
    """`ask`: members `mean + sigma * y`.

    Args:
        state: with `mean` and `sigma`, a scalar.
        ids: None, a `Block`, or int[k].
        population_size: how many there are.
        steps: from units to their y, float[units, n].
        antithetic: members 2u and 2u+1 are mirror images of each other.
    """
    flat = trees.ravel(state.mean, state.sigma.dtype)
    member = lambda sign, y: trees.unravel(flat + signed(sign, state.sigma) * y, state.mean)
    return from_noise(ids, population_size, antithetic, steps, member)


def moved(mean: Any, step: jax.Array) -> Any:
    """The tree `mean` plus the vector `step`, added in step's dtype."""
    return trees.unravel(trees.ravel(mean, step.dtype) + step, mean)


def moved_exactly(mean: Any, rest: jax.Array, step: jax.Array) -> tuple[Any, jax.Array]:
    """`moved`, and what rounding has taken off: the new mean and rest sum to the old mean, rest and step.

    Without the rest a search in float32 ends when the shortest axis is a few units in the last place of the mean.
    """
    wanted = rest + step
    new = moved(mean, wanted)
    return new, wanted - (trees.ravel(new, step.dtype) - trees.ravel(mean, step.dtype))


def times(a: jax.Array, b: jax.Array) -> jax.Array:
    """The matrix product in full precision."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def norm(vector: jax.Array) -> jax.Array:
    """The Euclidean length."""
    return jnp.sqrt(jnp.sum(vector**2))


def check_matrix(name: str, params: Any, dtype: Any) -> int:
    """The number of parameters; raise if they are too many for a strategy that keeps an n x n matrix."""
    n = trees.size(params)
    if n > LARGEST:
        raise ValueError(
            f"params must hold at most {LARGEST:,} numbers for {name}, got {n:,}: one matrix alone would take "
            f"{n**2 * jnp.dtype(dtype).itemsize / 2**30:,.1f} GiB and its products some {10.0 * n**3:.0e} operations; "
            "lm_ma_es keeps a few vectors of it, snes only its diagonal, open_es nothing"
        )
    return n


def by_chunks(fn: Callable[[jax.Array], jax.Array], rows: jax.Array, size: int = 8) -> jax.Array:
    """`fn` (a matrix product) of `size` rows at a time, so that the bits of a row do not depend on the other rows.

    Args:
        fn: float[size, n] -> float[size, m], row by row.
        rows: float[k, n]; the last chunk is filled up with zeros.
        size: how many rows are in a chunk.

    Returns:
        float[k, m].
    """
    count = rows.shape[0]
    chunks = jnp.pad(rows, ((0, -count % size), (0, 0))).reshape(-1, size, rows.shape[1])
    out = lax.map(fn, chunks)
    return out.reshape(-1, out.shape[-1])[:count]
