"""Operations that only move elements, done on arrays of row numbers while the program is traced."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

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


def dynamic_slice(x: Rows, *starts: np.ndarray, slice_sizes, **_) -> Rows:
    begins = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, slice_sizes)]
    return x[tuple(slice(b, b + k) for b, k in zip(begins, slice_sizes))]


def dynamic_update_slice(x: Rows, update: Rows, *starts: np.ndarray, **_) -> Rows:
    begins = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, update.shape)]
    out = x.copy()
    out[tuple(slice(b, b + k) for b, k in zip(begins, update.shape))] = update
    return out


def gather(x: Rows, indices: np.ndarray, *, dimension_numbers, slice_sizes, mode, fill: Rows | int, **_) -> Rows:
    """XLA's gather. `fill` is the row of what stands outside, where the mode asks for it."""
    d = dimension_numbers
    batch_shape = indices.shape[:-1]
    windows = np.empty((*batch_shape, *slice_sizes), np.int64)
    clip = lax.GatherScatterMode.from_any(mode) != lax.GatherScatterMode.FILL_OR_DROP
    for at in np.ndindex(*batch_shape):
        start = _start(indices, at, x.ndim, d.start_index_map, d.operand_batching_dims, d.start_indices_batching_dims)
        last = [n - k for n, k in zip(x.shape, slice_sizes)]
        if clip:
            start = [min(max(s, 0), high) for s, high in zip(start, last)]
        elif any(s < 0 or s > high for s, high in zip(start, last)):
            windows[at] = fill
            continue
        windows[at] = x[tuple(slice(s, s + k) for s, k in zip(start, slice_sizes))]
    gone = {*d.collapsed_slice_dims, *d.operand_batching_dims}
    kept = [k for axis, k in enumerate(slice_sizes) if axis not in gone]
    windows = windows.reshape(*batch_shape, *kept)
    rank = len(batch_shape) + len(kept)
    batch_dims = [axis for axis in range(rank) if axis not in d.offset_dims]
    return windows.transpose(np.argsort([*batch_dims, *d.offset_dims], kind="stable"))


def scatter(
    x: Rows, indices: np.ndarray, updates: Rows, *, dimension_numbers, mode, combine: Callable[[int, int], int], **_
) -> Rows:
    """XLA's scatter, updates in order; `combine` gives the row of an old and a new element."""
    d = dimension_numbers
    out = x.copy()
    window_dims = d.update_window_dims
    batch_dims = [axis for axis in range(updates.ndim) if axis not in window_dims]
    gone = {*d.inserted_window_dims, *d.operand_batching_dims}
    window_axes = [axis for axis in range(x.ndim) if axis not in gone]
    sizes = [1] * x.ndim
    for axis, dim in zip(window_axes, window_dims):
        sizes[axis] = updates.shape[dim]
    moved = updates.transpose([*batch_dims, *window_dims])
    clip = lax.GatherScatterMode.from_any(mode) == lax.GatherScatterMode.CLIP
    for at in np.ndindex(*indices.shape[:-1]):
        start = _start(
            indices,
            at,
            x.ndim,
            d.scatter_dims_to_operand_dims,
            d.operand_batching_dims,
            d.scatter_indices_batching_dims,
        )
        last = [n - k for n, k in zip(x.shape, sizes)]
        if clip:
            start = [min(max(s, 0), high) for s, high in zip(start, last)]
        elif any(s < 0 or s > high for s, high in zip(start, last)):
            continue
        where = tuple(slice(s, s + k) for s, k in zip(start, sizes))
        old, new = out[where], moved[at].reshape(sizes)
        out[where] = np.array([combine(a, b) for a, b in zip(old.flat, new.flat)], np.int64).reshape(sizes)
    return out


def _start(indices, at, rank, mapped, batching, index_batching) -> list[int]:
    start = [0] * rank
    for axis, index in zip(mapped, indices[at]):
        start[axis] = int(index)
    for axis, dim in zip(batching, index_batching):
        start[axis] = at[dim]
    return start


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
