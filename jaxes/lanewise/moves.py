"""Operations that only move elements, done on arrays of row numbers while the program is traced."""

from collections.abc import Callable
from typing import Any

import numpy as np

Rows = np.ndarray


def reshape(x: Rows, *, new_sizes, dimensions=None, **_) -> Rows:
    x = x if dimensions is None else x.transpose(dimensions)
    return x.reshape(new_sizes)


def broadcast_in_dim(x: Rows, *, shape, broadcast_dimensions, **_) -> Rows:
    spread = [1] * len(shape)
    for axis, at in enumerate(broadcast_dimensions):
        spread[at] = x.shape[axis]
    return np.broadcast_to(x.reshape(spread), shape)


def slice_(x: Rows, *, start_indices, limit_indices, strides, **_) -> Rows:
    strides = strides or (1,) * x.ndim
    return x[tuple(slice(*part) for part in zip(start_indices, limit_indices, strides))]


def pad(x: Rows, padding: Rows, *, padding_config, **_) -> Rows:
    shape = [low + high + size + max(size - 1, 0) * inner for size, (low, high, inner) in zip(x.shape, padding_config)]
    out = np.full([max(n, 0) for n in shape], padding.reshape(-1)[0])
    if not out.size or not x.size:
        return out
    target, source = [], []
    for size, length, (low, _, inner) in zip(x.shape, out.shape, padding_config):
        at = low + np.arange(size) * (inner + 1)
        inside = (at >= 0) & (at < length)
        target.append(at[inside])
        source.append(np.arange(size)[inside])
    out[np.ix_(*target)] = x[np.ix_(*source)]
    return out


def split(x: Rows, *, sizes, axis, **_) -> list[Rows]:
    return np.split(x, np.cumsum(sizes)[:-1], axis)


# Operations whose operands are all moved.
MOVES: dict[str, Callable[..., Any]] = {
    "reshape": reshape,
    "broadcast_in_dim": broadcast_in_dim,
    "slice": slice_,
    "pad": pad,
    "split": split,
    "transpose": lambda x, *, permutation: x.transpose(permutation),
    "squeeze": lambda x, *, dimensions: x.squeeze(dimensions),
    "expand_dims": lambda x, *, dimensions: np.expand_dims(x, dimensions),
    "rev": lambda x, *, dimensions: np.flip(x, dimensions),
    "concatenate": lambda *xs, dimension: np.concatenate(xs, dimension),
    "stack": lambda *xs, axis: np.stack(xs, axis),
    "unstack": lambda x, *, axis: [np.take(x, i, axis) for i in range(x.shape[axis])],
    "tile": lambda x, *, reps: np.tile(x, reps),
    "copy": lambda x, **_: x,
    "copy_p": lambda x, **_: x,
    "stop_gradient": lambda x, **_: x,
    "device_put": lambda *xs, **_: list(xs),
    "optimization_barrier": lambda *xs, **_: list(xs),
    "real": lambda x, **_: x,
}
