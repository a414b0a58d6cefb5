"""A part of a program as one foreign function of XLA on NVIDIA cards: one kernel, a thread a lane."""

import ctypes
import hashlib
import threading

import jax

from jaxes.lanewise import c, nvidia
from jaxes.lanewise.launcher import launcher
from jaxes.lanewise.llvm import Array
from jaxes.lanewise.machine import compiled
from jaxes.lanewise.relaxed import Relaxed
from jaxes.lanewise.table import Table

# Threads in a block. A thread takes all 255 registers, so that 8 blocks of 32 fill a multiprocessor, and small blocks
# deal lanes out evenly.
BLOCK = 32

_REGISTERED: set[str] = set()
_LOCK = threading.Lock()


def registered(
    table: Table, inputs: list[Array], outputs: list[Array], shared: list[bool], relaxed: Relaxed | None, *, fast: bool
) -> str:
    """The name by which XLA finds a part; it is compiled if it is new.

    Args:
        table: rows.
        inputs: arrays.
        outputs: arrays.
        shared: of each input, whether all lanes have the same one.
        relaxed: the same with numbers taken for finite, if that gains something.
        fast: approximate mathematics.
    """
    text = c.cuda(table, inputs, outputs, "lanewise", shared, relaxed)
    architecture = nvidia.architecture()
    name = "jaxes_lanewise_" + hashlib.sha256(f"{text} {architecture} {fast} {BLOCK}".encode()).hexdigest()[:24]
    with _LOCK:
        if name not in _REGISTERED:
            kernel = nvidia.loaded(nvidia.kept(text, name, architecture, fast=fast), "lanewise")
            host = launcher(name, len(inputs), len(outputs), kernel=kernel, launch=nvidia.launch(), block=BLOCK)
            capsule = jax.ffi.pycapsule(ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(compiled(host, name)))
            jax.ffi.register_ffi_target(name, capsule, platform="CUDA")
            _REGISTERED.add(name)
    return name
