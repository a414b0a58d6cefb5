"""A table as source in C: a function of one lane, for compilers that make a thread of it (CUDA) or a loop (C).

The same rows as in `jaxes.lanewise.llvm`, one statement each. Numbers of one element and all lanes lie beside each
other in memory: arrays are [elements, lanes].
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxes.lanewise.llvm import Array
from jaxes.lanewise.relaxed import Relaxed
from jaxes.lanewise.schedule import Block, Emitter, scheduled
from jaxes.lanewise.table import Table

INFIX = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
BITWISE = {"and": "&", "or": "|", "xor": "^"}
MATHEMATICS = {"round": "rint", "abs": "fabs"}

# Whole numbers as XLA divides, shifts and converts them.
PRELUDE = """
#define DIVISION(T) \\
  static FUNCTION bool minus_##T(T b) { return (T)-1 < 0 && b == (T)-1; } \\
  static FUNCTION T div_##T(T a, T b) { return b == 0 ? (T)-1 : minus_##T(b) ? (T)(0 - a) : (T)(a / b); } \\
  static FUNCTION T rem_##T(T a, T b) { return b == 0 ? a : minus_##T(b) ? (T)0 : (T)(a % b); }
DIVISION(int8_t) DIVISION(int16_t) DIVISION(int32_t) DIVISION(int64_t)
DIVISION(uint8_t) DIVISION(uint16_t) DIVISION(uint32_t) DIVISION(uint64_t)
#define EXTREMES(T) static FUNCTION T max_##T(T a, T b) { return a != a ? a : a > b ? a : b; } \\
  static FUNCTION T min_##T(T a, T b) { return a != a ? a : a < b ? a : b; }
EXTREMES(double)
#if __CUDA_ARCH__ >= 800
#define EXTREME(name, instruction) static FUNCTION float name(float a, float b) \\
  { float c; asm(instruction ".NaN.f32 %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b)); return c; }
EXTREME(max_float, "max") EXTREME(min_float, "min")
#else
EXTREMES(float)
#endif
#define MOST(T) static FUNCTION T max_##T(T a, T b) { return a > b ? a : b; } \\
  static FUNCTION T min_##T(T a, T b) { return a < b ? a : b; }
MOST(int8_t) MOST(int16_t) MOST(int32_t) MOST(int64_t) MOST(uint8_t) MOST(uint16_t) MOST(uint32_t) MOST(uint64_t)
"""
FOR_C = """
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#define FUNCTION inline
#define BITCAST(A, B, x) (((union { A a; B b; }){ x }).b)
"""
FOR_CUDA = """
typedef signed char int8_t; typedef short int16_t; typedef int int32_t; typedef long int64_t;
typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef unsigned uint32_t;
typedef unsigned long uint64_t;
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#define FUNCTION __device__ inline
template <typename A, typename B>
static FUNCTION B bitcast(A a) { union { A a; B b; } both; both.a = a; return both.b; }
#define BITCAST(A, B, x) bitcast<A, B>(x)
"""


def kind(dtype: np.dtype) -> str:
    """The type of a number."""
    if dtype.kind == "b":
        return "bool"
    return ("float" if dtype.itemsize == 4 else "double") if dtype.kind == "f" else f"{dtype.name}_t"


class Statements(Emitter):
    """Writes the statements of rows."""

    def __init__(self, table: Table):
        super().__init__(table)
        self.lines: list[str] = []
        self.declared: list[str] | None = None  # of values inside a loop, which are read behind it too
        self._count = 0

    def constant(self, value: Any, dtype: np.dtype) -> str:
        return literal(value, dtype)

    def new(self, dtype: np.dtype, text: str) -> str:
        self._count += 1
        name = f"v{self._count}"
        if self.declared is None:
            self.lines.append(f"{kind(dtype)} {name} = {text};")
        else:
            self.declared.append(f"{kind(dtype)} {name};")
            self.lines.append(f"{name} = {text};")
        return name

    def compute(self, row: int) -> str:
        return self.new(self.table.dtypes[row], self.expression(row))

    def loop(self, block: Block) -> None:
        """Values that are read behind the loop are declared in front of it."""
        table, loop = self.table, block.loop
        for i in block.carries:
            row = loop.carries[i]
            self.names[row] = f"c{row}"
            start = self.name(loop.starts[i])
            if self.declared is None:
                self.lines.append(f"{kind(table.dtypes[row])} c{row} = {start};")
            else:
                self.declared.append(f"{kind(table.dtypes[row])} c{row};")
                self.lines.append(f"c{row} = {start};")
        self._count += 1
        turn = f"turn{self._count}"
        outer, self.lines = self.lines, []
        outside, self.declared = self.declared, []
        if loop.condition is not None:
            self.items(block.tested)
            self.lines.append(f"if (!({self.name(loop.condition)})) break;")
        self.items(block.body)
        if loop.condition is None:
            self.lines.append(f"if (++{turn} == {loop.length}) break;")
        moved = [(loop.carries[i], self.name(loop.nexts[i])) for i in block.carries]
        moved = [(row, value) for row, value in moved if value != self.names[row]]
        self.lines += [f"{kind(table.dtypes[row])} n{row} = {value};" for row, value in moved]
        self.lines += [f"c{row} = n{row};" for row, _ in moved]
        body, declared = self.lines, self.declared
        self.lines, self.declared = outer, outside
        (self.lines if outside is None else outside).extend(declared)
        self.lines += [f"int {turn} = 0;", "for (;;) {", *body, "}"]
        self.items(block.rest)

    def expression(self, row: int) -> str:
        table, operation = self.table, self.table.operations[row]
        operands = table.operands[row]
        x = [self.name(i) for i in operands]
        first, result = table.dtypes[operands[0]], table.dtypes[row]
        floats, what = first.kind == "f", kind(first)
        suffix = "f" if what == "float" else ""
        if operation in INFIX:
            return f"({kind(result)})({x[0]} {INFIX[operation]} {x[1]})"
        if operation in BITWISE:
            return f"({what})({x[0]} {BITWISE[operation]} {x[1]})"
        if operation == "select":
            return f"{x[0]} ? {x[2]} : {x[1]}"
        if operation in ("max", "min"):
            return f"{operation}_{what}({x[0]}, {x[1]})"
        if operation == "div":
            return f"{x[0]} / {x[1]}" if floats else f"div_{what}({x[0]}, {x[1]})"
        if operation == "rem":
            return f"fmod{suffix}({x[0]}, {x[1]})" if floats else f"rem_{what}({x[0]}, {x[1]})"
        if operation == "neg":
            return f"-{x[0]}" if floats else f"({what})(0 - {x[0]})"
        if operation == "not":
            return f"!{x[0]}" if first.kind == "b" else f"({what})~{x[0]}"
        if operation == "abs" and not floats:
            return f"({what})({x[0]} < 0 ? 0 - {x[0]} : {x[0]})"
        if operation == "naught":
            return f"{x[0]} * ({what})0"
        if operation == "sign":
            return f"({what})({x[0]} > 0 ? 1 : {x[0]} < 0 ? -1 : {x[0]})"
        if operation == "is_finite":
            return f"(fabs{suffix}({x[0]}) < INFINITY)"
        if operation == "convert":
            return self.converted(first, result, x[0])
        if operation in ("shl", "srl", "sra"):
            return shifted(operation, first, *x)
        if operation == "bitcast":
            return f"BITCAST({what}, {kind(result)}, {x[0]})"
        return f"{MATHEMATICS.get(operation, operation)}{suffix}({', '.join(x)})"

    def converted(self, old: np.dtype, new: np.dtype, x: str) -> str:
        if new.kind == "b":
            return f"({x} != 0)"
        if old.kind == "f" and new.kind in "iu":
            limits = np.iinfo(new)
            low, high = literal(limits.min, new), literal(limits.max, new)
            inside = (
                f"({x} <= {float(limits.min)!r} ? {low} : {x} >= {float(limits.max)!r} ? {high} : ({kind(new)}){x})"
            )
            return f"({x} != {x} ? 0 : {inside})"
        return f"({kind(new)}){x}"


def literal(value, dtype: np.dtype) -> str:
    """A constant."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind != "f":
        value = int(value)  # the lowest number has no literal of its own
        text = f"{value}ULL" if dtype.kind == "u" else f"({value + 1}LL - 1)" if value < 0 else f"{value}LL"
        return f"(({kind(dtype)}){text})"
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "(-INFINITY)"
    text = float(value).hex()
    return f"({text}{'f' if dtype.itemsize == 4 else ''})"


def shifted(operation: str, dtype: np.dtype, a: str, b: str) -> str:
    """A shift; by as many bits as there are, or more, it leaves 0 (or the sign)."""
    bits = 8 * dtype.itemsize
    unsigned, signed, what = f"uint{bits}_t", f"int{bits}_t", kind(dtype)
    amount = f"({unsigned}){b}"
    if operation == "sra":
        return f"({what})(({signed}){a} >> ({amount} < {bits} ? {amount} : {bits - 1}))"
    arrow = "<<" if operation == "shl" else ">>"
    return f"({amount} < {bits} ? ({what})(({unsigned}){a} {arrow} {amount}) : ({what})0)"


def source(table: Table, inputs: list[Array], outputs: list[Array], symbol: str) -> str:
    """A module with one function, `symbol(lanes, const void** inputs, void** outputs)`, of arrays [elements, lanes]."""
    place = lambda _, e: f"[(long){e} * lanes + lane]"
    body = statements(table, inputs, outputs, place)
    pointers = [f"const {kind(a.dtype)}* __restrict__ in{k} = inputs[{k}];" for k, a in enumerate(inputs)]
    pointers += [f"{kind(a.dtype)}* __restrict__ out{k} = outputs[{k}];" for k, a in enumerate(outputs)]
    head = f"void {symbol}(int lanes, const void** inputs, void** outputs) {{"
    return "\n".join(
        [FOR_C + PRELUDE, head, *pointers, "for (int lane = 0; lane < lanes; ++lane) {", body, "}", "}", ""]
    )


def cuda(
    table: Table,
    inputs: list[Array],
    outputs: list[Array],
    symbol: str,
    shared: list[bool],
    relaxed: Relaxed | None = None,
) -> str:
    """A module with one kernel, `symbol(lanes, in0, ..., out0, ...)`, a thread a lane.

    An output may be written in the place of an input: a thread reads all of its lane before it writes.

    Args:
        table: rows.
        inputs: arrays [elements, lanes].
        outputs: likewise.
        symbol: the kernel's name.
        shared: of each input, whether all lanes have the same one: an array [elements].
        relaxed: the program that takes numbers for finite. Where that fails, the strict one runs.
    """
    place = lambda k, e: f"[{e}]" if k is not None and shared[k] else f"[(long){e} * lanes + lane]"
    arrays = [f"const {kind(a.dtype)}*{' __restrict__' * s} in{k}" for k, (a, s) in enumerate(zip(inputs, shared))]
    arrays += [f"{kind(a.dtype)}* out{k}" for k, a in enumerate(outputs)]
    start = "const int lane = blockIdx.x * blockDim.x + threadIdx.x;\nif (lane >= lanes) return;"
    strict = statements(table, inputs, outputs, place)
    kernel = f'extern "C" __global__ void {symbol}({", ".join(["int lanes", *arrays])}) {{'
    if relaxed is None:
        return "\n".join([FOR_CUDA + PRELUDE, kernel, start, strict, "}", ""])
    names = [f"in{k}" for k in range(len(inputs))] + [f"out{k}" for k in range(len(outputs))]
    again = f"strict({', '.join(['lanes', 'lane', *names])});"
    function = f"static __device__ __noinline__ void strict({', '.join(['int lanes', 'int lane', *arrays])}) {{"
    body = statements(relaxed.table, *relaxed.arrays, place, failed=relaxed.failed, again=again)
    return "\n".join([FOR_CUDA + PRELUDE, function, strict, "}", kernel, start, body, "}", ""])


def statements(
    table: Table,
    inputs: list[Array],
    outputs: list[Array],
    place: Callable[[int | None, int], str],
    *,
    failed: int | None = None,
    again: str = "",
) -> str:
    """What is done for a lane.

    `place` says where an element of an input, or of an output (None), lies. Where the row `failed` is true, nothing is
    written, and `again` is done.
    """
    writer = Statements(table)
    given = [row for array in inputs for row in array.rows]
    results = [row for array in outputs for row in array.rows] + ([] if failed is None else [failed])
    needed = table.needed(results, given)
    for k, array in enumerate(inputs):
        for e, row in enumerate(array.rows):
            if row in needed and row not in writer.names:
                writer.names[row] = writer.new(array.dtype, f"in{k}{place(k, e)}")
    writer.items(scheduled(table, results, given))
    if failed is not None:
        writer.lines.append(f"if ({writer.name(failed)}) {{ {again} return; }}")
    for k, array in enumerate(outputs):
        for e, row in enumerate(array.rows):
            writer.lines.append(f"out{k}{place(None, e)} = {writer.name(row)};")
    return "\n".join(writer.lines)
