"""The root of a covariance after a generation: A M^(1/2), where M is what has changed, in the coordinates of A."""

import numpy as np

_EPSILON = float(np.finfo(np.float64).eps)


def square_root(matrix: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M^(1/2), the symmetric one, and M^(-1/2) v; see `jaxes.strategies.parts.square_root`.

    >>> root, moved = square_root(np.diag([4.0, 9.0]), np.ones(2))
    >>> root.round(9).tolist(), moved.round(9).tolist()
    ([[2.0, 0.0], [0.0, 3.0]], [0.5, 0.333333333])
    """
    values, axes = np.linalg.eigh(matrix)
    lengths = _lengths(values)
    return (axes * lengths) @ axes.T, axes @ ((vector @ axes) / lengths)


def renewed_by_steps(
    root: np.ndarray, kept: float, columns: np.ndarray, weights: np.ndarray, vector: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A M^(1/2) and M^(-1/2) v for M = kept I + columns diag(weights) columns^T, in n^2 r operations instead of n^3.

    With Q R = columns, M^(1/2) is sqrt(kept) I + Q (B - sqrt(kept) I) Q^T, where B^2 = kept I + R diag(weights) R^T.

    Args:
        root: float64[n, n].
        kept: what remains of the old covariance, above 0.
        columns: float64[n, r], r below n.
        weights: float64[r].
        vector: float64[n].
    """
    q, r = np.linalg.qr(columns)
    values, axes = np.linalg.eigh(kept * np.eye(weights.size) + (r * weights) @ r.T)
    lengths, base = _lengths(values), np.sqrt(kept)
    directions = q @ axes
    new = base * root + ((root @ directions) * (lengths - base)) @ directions.T
    along = vector @ directions
    return new, vector / base + directions @ (along * (1 / lengths - 1 / base))


def _lengths(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, _EPSILON * max(values[-1], np.finfo(np.float64).tiny)))
