"""Other ways to run a program of one lane for all lanes, to be measured beside the one that jaxes takes."""

import ctypes
import subprocess
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from jaxes.lanewise import c
from jaxes.lanewise.llvm import Array
from jaxes.lanewise.program import Program
from jaxes.lanewise.schedule import Block, scheduled

LAX = {"and": "bitwise_and", "or": "bitwise_or", "not": "bitwise_not", "xor": "bitwise_xor"}


def rows_of(values) -> list[int]:
    return [row for value in values for row in value.reshape(-1).tolist()]


def by_xla(program: Program, lanes: int, elements: list[jax.Array]) -> list[jax.Array]:
    """Every row as an operation of XLA on a vector of lanes: from one vector an input's element to one an output's."""
    table, given = program.table, rows_of(program.inputs)
    values = dict(zip(given, elements))

    def read(row):
        constant = table.values[row]
        return jnp.full(lanes, constant) if constant is not None else values[row]

    def items(todo):
        for item in todo:
            if isinstance(item, Block):
                loop(item)
            elif table.operations[item] != "result":
                values[item] = one(item)

    def one(row):
        operation, operands = table.operations[row], [read(i) for i in table.operands[row]]
        if operation == "convert":
            return operands[0].astype(table.dtypes[row])
        if operation == "select":
            return lax.select(operands[0], operands[2], operands[1])
        return getattr(lax, LAX.get(operation, operation))(*operands)

    def loop(block):
        rows = [block.loop.carries[i] for i in block.carries]

        def turn(_, carried):
            values.update(zip(rows, carried))
            items(block.body)
            return tuple(read(block.loop.nexts[i]) for i in block.carries)

        start = tuple(read(block.loop.starts[i]) for i in block.carries)
        outer = dict(values)
        before_last = lax.fori_loop(0, block.loop.length - 1, turn, start)
        values.clear()
        values.update(outer)
        turn(0, before_last)
        items(block.rest)
        at = next(row for row, one in table.loops.items() if one is block.loop)
        for row, operation in enumerate(table.operations):
            if operation == "result" and table.operands[row][0] == at:
                after = block.loop.nexts[table.operands[row][1]]
                if table.values[after] is not None or after in values:
                    values[row] = read(after)

    outputs = rows_of(program.outputs)
    items(scheduled(table, outputs, given))
    return [read(row) for row in outputs]


def split(program: Program, leaves: list[jax.Array]) -> list[jax.Array]:
    """Leaves [lanes, *shape] as vectors of lanes."""
    return [column for x in leaves for column in x.reshape(len(x), -1).T]


def joined(program: Program, lanes: int, vectors: list[jax.Array]) -> list[jax.Array]:
    """And back."""
    out, at = [], 0
    for value, aval in zip(program.outputs, program.avals):
        part = vectors[at : at + value.size]
        at += value.size
        out.append(
            jnp.stack(part, 1).reshape(lanes, *aval.shape) if part else jnp.zeros((lanes, *aval.shape), aval.dtype)
        )
    return out


def vectors(program: Program, lanes: int, leaves: list[jax.Array]) -> list[jax.Array]:
    """By operations of XLA."""
    return joined(program, lanes, by_xla(program, lanes, split(program, leaves)))


def small_call(program: Program, lanes: int, leaves: list[jax.Array]) -> list[jax.Array]:
    """The same as one function of XLA:CPU on one array [elements, lanes]."""
    dtypes = [x.dtype for x in leaves for _ in range(int(np.prod(x.shape[1:])))]
    packed = jnp.stack([v.astype(jnp.float32) for v in split(program, leaves)])

    def body(packed):
        elements = [(row > 0.5) if d.kind == "b" else row.astype(d) for row, d in zip(packed, dtypes)]
        return jnp.stack([v.astype(jnp.float32) for v in by_xla(program, lanes, elements)])

    closed = jax.make_jaxpr(body)(packed)
    with set_xla_metadata(xla_cpu_small_call="true", inlineable="false"):
        (out,) = jax.jit(jax.extend.core.jaxpr_as_fun(closed))(packed)
    kinds = [a.dtype for v, a in zip(program.outputs, program.avals) for _ in range(v.size)]
    return joined(program, lanes, [(row > 0.5) if d.kind == "b" else row.astype(d) for row, d in zip(out, kinds)])


class ByC:
    """A loop over lanes in C, called outside of JAX: `run()` takes a step on arrays of its own."""

    def __init__(self, program: Program, lanes: int, leaves: list[jax.Array]):
        pairs = [(v, x) for v, x in zip(program.inputs, leaves) if v.size]
        array = lambda value, dtype: Array(tuple(value.reshape(-1).tolist()), np.dtype(dtype))
        outputs = [array(v, a.dtype) for v, a in zip(program.outputs, program.avals) if v.size]
        text = c.source(program.table, [array(v, x.dtype) for v, x in pairs], outputs, "lane")
        folder = Path(tempfile.mkdtemp())
        (folder / "lane.c").write_text(text)
        flags = ["-O2", "-march=native", "-shared", "-fPIC", "-fwrapv"]
        subprocess.run(["cc", *flags, "lane.c", "-o", "lane.so", "-lm"], cwd=folder, check=True)
        self.function = ctypes.CDLL(str(folder / "lane.so")).lane
        self.arrays = [np.ascontiguousarray(np.asarray(x).reshape(lanes, -1).T) for _, x in pairs]
        self.results = [np.zeros((len(a.rows), lanes), a.dtype) for a in outputs]
        pointers = lambda arrays: (ctypes.c_void_p * len(arrays))(*(x.ctypes.data for x in arrays))
        self.arguments = lanes, pointers(self.arrays), pointers(self.results)

    def run(self):
        self.function(*self.arguments)
