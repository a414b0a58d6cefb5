"""Weights by rank as `jaxes.support.ranking` gives them, for values of which the lowest is best."""

from collections.abc import Sequence

import numpy as np


def recombination(tables: Sequence[np.ndarray], values: np.ndarray) -> list[np.ndarray]:
    """Each table's weights, float64[n], best first, in the members' order.

    Equals get the mean of their weights; NaN ranks last, gets no positive weight, and the others get its part.

    >>> recombination([np.array([3.0, 1.0, 0.0])], np.array([5.0, 2.0, 5.0]))[0].tolist()
    [0.5, 3.0, 0.5]
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    if (ordered[1:] > ordered[:-1]).all():
        result = [np.empty(values.size) for _ in tables]
        for weights, table in zip(result, tables, strict=True):
            weights[order] = table
        return result
    invalid = np.isnan(values)
    group = np.concatenate([[0], np.cumsum((ordered[1:] != ordered[:-1]) & ~np.isnan(ordered[:-1]))])
    counts = np.bincount(group)
    return [_shared(table, order, group, counts, invalid) for table in tables]


def _shared(table, order, group, counts, invalid):
    weights = np.empty(table.size)
    weights[order] = (np.bincount(group, table) / counts)[group]
    positive = np.maximum(weights, 0)
    left = positive[~invalid].sum()
    if invalid.any():
        kept = np.where(invalid, 0, positive) * (positive.sum() / left if left > 0 else 1)
        return np.where(weights > 0, kept, weights)
    return weights
