"""The root of a covariance after a generation: A M^(1/2), where M is what has changed, in the coordinates of A."""

import math

import numpy as np

_EPSILON = float(np.finfo(np.float64).eps)
_TERMS = 32  # of a series at most


def square_root(matrix: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M^(1/2), the symmetric one, and M^(-1/2) v; see `jaxes.strategies.parts.square_root`.

    >>> root, moved = square_root(np.diag([4.0, 9.0]), np.ones(2))
    >>> root.round(9).tolist(), moved.round(9).tolist()
    ([[2.0, 0.0], [0.0, 3.0]], [0.5, 0.333333333])
    """
    values, axes = np.linalg.eigh(matrix)
    lengths = np.sqrt(np.maximum(values, _EPSILON * max(values[-1], np.finfo(np.float64).tiny)))
    return (axes * lengths) @ axes.T, axes @ ((vector @ axes) / lengths)


def renewed_by_steps(
    root: np.ndarray, kept: float, columns: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A M^(1/2) and M^(-1/2) v for M = kept (I + V E V^T), v the first column of V, in n^2 r operations instead of n^3.

    A power of V E V^T is V (E V^T V)^(k-1) E V^T, so a power series of it is one of the r x r matrix E V^T V. That of
    ((1 + x)^(1/2) - 1) / x needs few terms, because a generation changes the covariance by little.

    Args:
        root: float64[n, n], A.
        kept: what remains of the old covariance, above 0.
        columns: float64[n, r], V with r below n.
        weights: float64[r], the diagonal of kept E.
    """
    part, base, count = weights / kept, math.sqrt(kept), weights.size
    small = part[:, None] * (columns.T @ columns)
    size = math.sqrt(np.vdot(small, small))
    terms = math.ceil(math.log(1e-17) / math.log(size)) if 0 < size < 1 else 1 + _TERMS * (size > 0)
    if terms > _TERMS:
        half, moved = square_root(kept * np.eye(len(root)) + (columns * weights) @ columns.T, columns[:, 0])
        return root @ half, moved
    series = _series(small, terms)
    new = (root @ columns) @ (series * (base * part)) @ columns.T
    new += base * root
    first = small @ series[:, 0]  # of (1 + small)^(1/2), which is 1 + small series
    first[0] += 1
    small.reshape(-1)[:: count + 1] += 1
    return new, columns @ (np.linalg.solve(small, first) / base)


def _series(x: np.ndarray, terms: int) -> np.ndarray:
    """The power series of ((1 + x)^(1/2) - 1) / x for a matrix, by Paterson and Stockmeyer's scheme of 1973."""
    square = x @ x
    powers = np.stack([x, square, x @ square]).reshape(3, -1)
    fourth = square @ square
    groups = _COEFFICIENTS[: -(-terms // 4)]
    parts = groups[:, 1:] @ powers
    parts[:, :: len(x) + 1] += groups[:, :1]
    parts = parts.reshape(-1, *x.shape)
    result = parts[-1]
    for part in parts[-2::-1]:
        result = result @ fourth + part
    return result


def _coefficients() -> np.ndarray:
    """float64[_TERMS / 4, 4]: those of x, x^2, ... in (1 + x)^(1/2)."""
    result = [0.5]
    for k in range(2, _TERMS + 1):
        result.append(result[-1] * (1.5 - k) / k)
    return np.array(result).reshape(-1, 4)


_COEFFICIENTS = _coefficients()
