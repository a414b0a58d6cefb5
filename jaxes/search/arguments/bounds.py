"""What `bounds`, `integer` and `sigma` of a search say, as vectors over all numbers of `x0`."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxes.support.numerals import is_real, told
from jaxes.support.vectors import is_vector


class Box(NamedTuple):
    """Bounds of every coordinate."""

    low: np.ndarray  # float64[n], -inf for no bound
    high: np.ndarray  # float64[n]


def sigmas(sigma: Any, x0: Any) -> tuple[float, np.ndarray]:
    """One step size, and the unit of each coordinate in which it is one.

    >>> sigmas([0.5, 2.0], np.zeros(2))
    (1.0, array([0.5, 2. ]))
    """
    if isinstance(sigma, bool | str) or sigma is None:
        raise TypeError(f"sigma must be a number, or one for each coordinate, got {told(sigma)}")
    flat = spread(sigma, x0, "sigma")
    if (wrong := np.flatnonzero(~((flat > 0) & np.isfinite(flat)))).size:
        at = "" if (flat == flat[0]).all() else f" for {name_of(x0, wrong[0])}"
        raise ValueError(f"sigma must be above 0 and finite, got {flat[wrong[0]]:g}{at}")
    if (flat == flat[0]).all():
        return float(flat[0]), np.ones(flat.size)
    one = float(np.exp(np.log(flat).mean()))
    return one, flat / one


def quarter_of(box: Box | None, x0: Any) -> np.ndarray:
    """A quarter of the width between bounds, which stands for no sigma.

    >>> quarter_of(Box(np.zeros(2), np.array([4.0, 8.0])), np.ones(2)).tolist()
    [1.0, 2.0]
    """
    width = np.full(ravel(x0).size, np.inf) if box is None else box.high - box.low
    if not np.isfinite(width).all() or not (width > 0).all():
        raise TypeError(
            "sigma must be given, about a quarter of the width of the region to search, unless every coordinate has "
            "two bounds"
        )
    return width / 4


def box_of(bounds: Any, x0: Any) -> Box | None:
    """The bounds of a search that starts at `x0`; None if there are none.

    Args:
        bounds: see `jaxes.minimize_function`.
        x0: a tree of float64 arrays.

    >>> box_of([(0, 1), (None, 5)], np.zeros(2))
    Box(low=array([  0., -inf]), high=array([1., 5.]))
    """
    if bounds is None:
        return None
    low, high = _sides(bounds, np.size(x0) if isinstance(x0, np.ndarray) and x0.ndim == 1 else None)
    box = Box(_side(low, x0, "low", -np.inf), _side(high, x0, "high", np.inf))
    return None if np.isinf(box.low).all() and np.isinf(box.high).all() and (box.low < box.high).all() else box


def check_start(x0: Any, box: Box | None, whole: np.ndarray | None, name: str = "x0") -> None:
    """Raise where bounds leave nothing to search in, or `x0` lies outside.

    Args:
        x0: a tree of float64 arrays.
        box: the bounds.
        whole: bool[n], which coordinates are whole numbers.
        name: what `x0` is called in errors.
    """
    if box is None:
        return
    x, (low, high) = ravel(x0), box
    where = lambda wrong: int(np.flatnonzero(wrong)[0]) if wrong.any() else None
    if (i := where(~(low < high))) is not None:
        raise ValueError(
            f"bounds must have low below high, got {low[i]:g} and {high[i]:g} for {name_of(x0, i)}"
            + (", which is fixed: leave it out of x0" if low[i] == high[i] else "")
        )
    if whole is not None and (i := where(whole & (np.ceil(low) > np.floor(high)))) is not None:
        raise ValueError(
            f"bounds must have a whole number between them where integer asks for one, got {low[i]:g} and "
            f"{high[i]:g} for {name_of(x0, i)}"
        )
    if (i := where(~((x >= low) & (x <= high)))) is not None:
        raise ValueError(
            f"{name} must lie within the bounds, got {x[i]:g} for {name_of(x0, i, name)}, whose bounds are {low[i]:g} "
            f"and {high[i]:g}"
        )


def whole_of(integer: Any, x0: Any) -> np.ndarray | None:
    """bool[n]: which coordinates are whole numbers; None if none is.

    >>> whole_of([0, 2], np.zeros(3))
    array([ True, False,  True])
    """
    if integer is None or integer is False:
        return None
    n = ravel(x0).size
    if isinstance(integer, set | frozenset | range):
        integer = list(integer)
    if isinstance(integer, list | tuple | np.ndarray) and (np.size(integer) == 0 or _are_places(integer)):
        places = np.asarray(integer, np.int64).reshape(-1)
        if (wrong := places[(places < -n) | (places >= n)]).size:
            raise ValueError(f"integer must hold places from 0 to {n - 1} of x0's numbers, got {int(wrong[0])}")
        if np.unique(places % n).size < places.size:
            raise ValueError(
                f"integer must hold each place once, got {places.tolist()}; for flags give booleans, True and False"
            )
        whole = np.zeros(n, bool)
        whole[places] = True
    else:
        whole = _spread(integer, x0, "integer", _booleans) != 0
    return whole if whole.any() else None


def ravel(tree: Any) -> np.ndarray:
    """float64[n]: all numbers of a tree."""
    if isinstance(tree, np.ndarray):
        return tree.reshape(-1)
    return np.concatenate([np.reshape(x, -1) for x in jax.tree.leaves(tree)])


def name_of(x0: Any, place: int, name: str = "x0") -> str:
    """What a number of `x0` is called in errors."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(x0):
        if place < np.size(leaf):
            at = "".join(f"[{i}]" for i in np.unravel_index(place, np.shape(leaf)))
            return f"{'x0' if name == 'x0' else 'its '}{jax.tree_util.keystr(path)}{at}"
        place -= np.size(leaf)
    raise IndexError(place)


def spread(part: Any, x0: Any, name: str) -> np.ndarray:
    """float64[n]: a number, a vector or a tree of them that is a prefix of `x0`, for each number of `x0`."""
    return _spread(part, x0, name, _numbers)


def _sides(bounds: Any, n: int | None) -> tuple[Any, Any]:
    """The low and the high bounds that a user has given in one of three ways."""
    wanted = "bounds must be (low, high), each a number or one for each coordinate, or a (low, high) pair for each"
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return bounds.lb, bounds.ub
    if isinstance(bounds, str | dict) or not hasattr(bounds, "__len__"):
        raise TypeError(f"{wanted}, got {told(bounds)}")
    rows = list(bounds)
    pair = lambda row: isinstance(row, list | tuple) and len(row) == 2
    if n == 2 and len(rows) == 2 and all(pair(row) or np.shape(row) == (2,) for row in rows):
        return _two(rows, isinstance(bounds, np.ndarray))
    if n is not None and len(rows) == n and (all(map(pair, rows)) or np.shape(bounds) == (n, 2)):
        return [row[0] for row in rows], [row[1] for row in rows]
    if len(rows) != 2:
        raise ValueError(f"{wanted}{'' if n is None else f' of {n} coordinates'}, got {len(rows)} entries")
    return rows[0], rows[1]


def _two(rows: list[Any], is_array: bool) -> tuple[Any, Any]:
    """The sides of two coordinates' bounds, which are pairs or sides."""
    pairs = [row[0] for row in rows], [row[1] for row in rows]
    if all(isinstance(row, tuple) for row in rows):
        return pairs
    if not is_array and all(isinstance(row, np.ndarray) for row in rows):
        return rows[0], rows[1]
    number = lambda side, none: [none if x is None else x for x in side]
    try:
        fits = [bool(np.all(np.less(number(a, -np.inf), number(b, np.inf)))) for a, b in (pairs, rows)]
        same = np.array_equal(number(pairs[0], -np.inf), number(rows[0], -np.inf))
    except TypeError:
        return pairs
    if all(fits) and not same:
        raise ValueError(
            f"bounds of two coordinates can be read in two ways here, got {rows}: give pairs as tuples, "
            "[(low, high), (low, high)], or scipy.optimize.Bounds(lows, highs)"
        )
    return pairs if fits[0] or not fits[1] else (rows[0], rows[1])


def _side(side: Any, x0: Any, which: str, none: float) -> np.ndarray:
    if side is None:
        return np.full(ravel(x0).size, none)
    if isinstance(side, list | tuple) and any(x is None for x in side):
        side = [none if x is None else x for x in side]
    flat = spread(side, x0, f"bounds' {which} side")
    if np.isnan(flat).any():
        raise ValueError(
            f"bounds must be numbers, got NaN as the {which} bound of {name_of(x0, int(np.isnan(flat).argmax()))}"
        )
    return flat


def _are_places(integer: Any) -> bool:
    dtype = np.asarray(integer).dtype
    return np.issubdtype(dtype, np.integer) and not np.issubdtype(dtype, np.bool_)


def _spread(part: Any, x0: Any, name: str, read: Any) -> np.ndarray:
    def below(value, subtree):
        if is_vector(value) and not jax.tree_util.treedef_is_leaf(jax.tree.structure(subtree)):
            return jax.tree.map(below, value, subtree)  # a tree of numbers
        return jax.tree.map(lambda x: np.broadcast_to(read(value, name), np.shape(x)), subtree)

    try:
        return ravel(jax.tree.map(below, part, x0, is_leaf=lambda x: x is None or is_vector(x))).copy()
    except (ValueError, TypeError) as error:
        if str(error).startswith(name):
            raise
        raise ValueError(
            f"{name} must be one for all, or one for each number of x0 ({ravel(x0).size}), got {told(part)}"
        ) from None


def _numbers(value: Any, name: str) -> np.ndarray:
    if value is None or isinstance(value, str | bytes | bool) or not is_real(np.asarray(value).dtype):
        raise TypeError(f"{name} must hold numbers, got {told(value)}")
    return np.asarray(value, np.float64)


def _booleans(value: Any, name: str) -> np.ndarray:
    if value is None or np.asarray(value).dtype != bool:
        raise TypeError(f"{name} must be True, booleans for each number of x0, or places of its numbers, got {value!r}")
    return np.asarray(value)
