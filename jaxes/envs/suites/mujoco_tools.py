"""What suites on MuJoCo share: loading models quietly, and fast steps."""

import contextlib
import ctypes.util
import os
import sys
from typing import Any

import numpy as np


@contextlib.contextmanager
def quiet():
    """The context for loading models, whose deprecations MuJoCo would print and write to MUJOCO_LOG.TXT."""
    if without_screen():
        os.environ.setdefault("MUJOCO_GL", "egl")  # read when MuJoCo is imported: drawing without a screen
    import mujoco

    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def without_screen() -> bool:
    """Whether pictures have to be drawn by EGL."""
    return sys.platform == "linux" and not os.environ.get("DISPLAY") and bool(ctypes.util.find_library("EGL"))


def spare(model: Any) -> None:
    """Turn off the parts of a `mujoco.MjModel`'s step that cost time and cannot change a bit of the result."""
    import mujoco

    flags, off = mujoco.mjtDisableBit, 0
    if model.ntree == 1:  # the only island of constraints is all of them
        off |= getattr(flags, "mjDSBL_ISLAND", 0)
    kinds, others = model.geom_contype, model.geom_conaffinity
    meet = (kinds[:, None] & others) | (kinds & others[:, None])
    if not model.npair and not meet.any():  # no two geoms can touch
        off |= flags.mjDSBL_CONTACT
    model.opt.disableflags |= int(off)


def joined(views: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, slice], list[tuple[np.ndarray, np.ndarray]]]:
    """Arrays of one `mujoco.MjData` as one array, so that a single copy reads or writes all of them.

    Args:
        views: float64[...] by name, in the order in which MuJoCo allocates them.

    Returns:
        The joined array, float64[size]; which part of it each array is; and the pairs (array, part) that do not share
        memory, so that the caller must copy them. There are none if the arrays lie next to each other, as they do in
        MuJoCo up to 4.0.
    """
    begins, end = {}, 0
    address = lambda view: view.__array_interface__["data"][0]
    first = next(iter(views.values()))
    for name, view in views.items():
        begins[name] = (address(view) - address(first)) // view.itemsize
        if not 0 <= begins[name] - end < 8:  # each begins at the next multiple of 64 bytes
            break
        end = begins[name] + view.size
    else:
        where = {name: slice(begin, begin + views[name].size) for name, begin in begins.items()}
        return np.lib.stride_tricks.as_strided(first, (end,), (first.itemsize,)), where, []
    ends = dict(zip(views, np.cumsum([view.size for view in views.values()]).tolist(), strict=True))
    where = {name: slice(stop - views[name].size, stop) for name, stop in ends.items()}
    block = np.concatenate(list(views.values()))
    return block, where, [(view, block[where[name]]) for name, view in views.items()]
