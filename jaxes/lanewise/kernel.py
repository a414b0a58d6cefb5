"""A part of a program as one foreign function of XLA: machine code on CPUs, a kernel on NVIDIA cards."""

import ctypes
import hashlib
import threading
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxes.lanewise import card, products, threads, turning
from jaxes.lanewise.functions import NAMES, defined
from jaxes.lanewise.handler import handler
from jaxes.lanewise.llvm import Array, chunk_function, guarded_chunk, operations, use
from jaxes.lanewise.machine import compiled, processor
from jaxes.lanewise.relaxed import Relaxed, relaxed
from jaxes.lanewise.table import Table
from jaxes.lanewise.trace import inlined
from jaxes.support.jaxprs import varying_like

_REGISTERED: set[str] = set()
_LOCK = threading.Lock()


class Target(NamedTuple):
    """What kernels are made for."""

    platform: str  # "cpu" or "cuda"
    fast: bool = False  # approximate mathematics, on cards


class Part(NamedTuple):
    """Rows in, rows out: arrays of the table's rows, in one lane's shapes."""

    table: Table
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]

    def dtypes(self, arrays: tuple[np.ndarray, ...]) -> list[np.dtype]:
        return [self.table.dtypes[int(rows.reshape(-1)[0])] for rows in arrays]

    def flat(self, arrays: tuple[np.ndarray, ...]) -> list[Array]:
        return [Array(tuple(r.reshape(-1).tolist()), d) for r, d in zip(arrays, self.dtypes(arrays))]

    def relaxed(self) -> Relaxed | None:
        """The same with numbers taken for finite; None where that gains nothing."""
        return None if self.table.finite else relaxed(self.table, self.flat(self.inputs), self.flat(self.outputs))


def source(part: Part, symbol: str, width: int) -> str:
    """The module of a part: its handler and everything that it calls."""
    inputs, outputs = part.flat(part.inputs), part.flat(part.outputs)
    guarded = part.relaxed()
    name = "chunk" if guarded is None else "strict"
    how = use(part.table, inputs, outputs)
    text, emitter = chunk_function(name, part.table, inputs, outputs, how, width, NAMES)
    chunks, emitters = [text], [emitter]
    if guarded is not None:
        text, emitter = chunk_function("relaxed", guarded.table, *guarded.arrays, how, width, NAMES, guarded.failed)
        chunks += [text, guarded_chunk(outputs, width)]
        emitters.append(emitter)
    called = defined(set().union(*(e.used for e in emitters)), width)
    ranks = [rows.ndim for rows in part.inputs]
    work = operations(part.table, inputs, outputs) if guarded is None else operations(guarded.table, *guarded.arrays)
    text = [*chunks, handler(symbol, list(zip(inputs, ranks)), outputs, width, how, work), *called.bodies]
    calls = sorted(emitters[0].products)
    text += [products.product(*of, width) for of in calls]
    size = lambda array: (8 * array.dtype.itemsize, len(array.rows))
    turned = {size(inputs[k]) for k in how.turned} | {products.turned(*of) for of in calls}
    text += [turning.lanes_last(*of, width) for of in sorted(turned)]
    text += [turning.lanes_first(*of, width) for of in sorted({size(array) for array in outputs})]
    declared = turning.declared(width) | threads.declared() | called.declared
    declared = declared.union(*(e.declared for e in emitters), *(products.declared(*of, width) for of in calls))
    return "\n".join([*text, *sorted(declared - {line for part in text for line in part.splitlines()})])


def registered(part: Part) -> str:
    """The name by which XLA finds a part; it is compiled if it is new."""
    width = processor()[2]
    text = source(part, "HANDLER", width)
    name = "jaxes_lanewise_" + hashlib.sha256("\n".join([text, *map(str, processor())]).encode()).hexdigest()[:24]
    with _LOCK:
        if name not in _REGISTERED:
            address = compiled(text.replace("@HANDLER", f"@{name}"), name)
            capsule = jax.ffi.pycapsule(ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(address))
            jax.ffi.register_ffi_target(name, capsule, platform="cpu")
            _REGISTERED.add(name)
    return name


def call(part: Part, lanes: int, arrays: list[Any], target: Target, places: dict[int, int]) -> list[Any]:
    """Run a part for all lanes.

    Args:
        part: what is computed.
        lanes: how many.
        arrays: one an input, [lanes, *shape], or [*shape] for all lanes.
        target: where.
        places: outputs that are written in the place of an input of the same shape, by that input's number. In a loop
            that carries them, nothing is copied then.

    Returns:
        One array an output, [lanes, *shape].
    """
    shared = [x.ndim == rows.ndim for x, rows in zip(arrays, part.inputs)]
    layouts: dict[str, Any] = {"input_output_aliases": {k: j for k, j in places.items() if not shared[k]}}
    if target.platform == "cuda":
        inputs, outputs = part.flat(part.inputs), part.flat(part.outputs)
        name = card.registered(part.table, inputs, outputs, shared, part.relaxed(), fast=target.fast)
        lanes_last = lambda rows: (*range(1, rows.ndim + 1), 0)
        layouts["input_layouts"] = [None if s else lanes_last(rows) for s, rows in zip(shared, part.inputs)]
        layouts["output_layouts"] = [lanes_last(rows) for rows in part.outputs]
    else:
        name = registered(part)
    shapes = [rows.shape for rows in part.outputs]
    dtypes = part.dtypes(part.outputs)

    @jax.custom_batching.custom_vmap
    def run(*arrays):
        results = [jax.ShapeDtypeStruct((lanes, *s), d) for s, d in zip(shapes, dtypes)]
        return tuple(varying_like(jax.ffi.ffi_call(name, results, **layouts)(*arrays), arrays))

    @run.def_vmap
    @inlined
    def _(size, batched, *arrays):
        """More lanes: all of them in one row."""

        def merged(x, with_axis, same):
            if not with_axis and same:
                return x
            x = x if with_axis else jnp.broadcast_to(x, (size, *x.shape))
            x = jnp.broadcast_to(x[:, None], (size, lanes, *x.shape[1:])) if same else x
            return x.reshape(size * lanes, *x.shape[2:])

        every = [merged(x, b, same) for x, b, same in zip(arrays, batched, shared)]
        outs = call(part, size * lanes, every, target, places)
        return tuple(x.reshape(size, lanes, *x.shape[1:]) for x in outs), (True,) * len(outs)

    return list(run(*arrays))
