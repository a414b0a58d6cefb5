"""A table as LLVM's intermediate representation: a function of one chunk of lanes, a vector register's worth.

Every row is one instruction (or a few) on vectors with a number a lane. Loops are loops; what only the last turn has to
know is computed behind them, once.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxes.lanewise import products
from jaxes.lanewise.schedule import Block, Emitter, scheduled
from jaxes.lanewise.table import Matrix, Table

FLOAT_COMPARISONS = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
INSTRUCTIONS = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
SHIFTS = {"shl": "shl", "srl": "lshr", "sra": "ashr"}
# Functions of LLVM that processors have an instruction for.
INTRINSICS = {"sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "round": "rint", "abs": "fabs"}
LIBRARY = frozenset(
    {
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
    }
    | {"asinh", "acosh", "atanh", "cbrt", "pow", "erf", "erfc"}
)
NAMES = {"b": "i1", "f": {4: "float", 8: "double"}}


class Array(NamedTuple):
    """Rows that stand beside each other in memory."""

    rows: tuple[int, ...]
    dtype: np.dtype


def scalar(dtype: np.dtype) -> str:
    """The type of one number."""
    if dtype.kind == "b":
        return "i1"
    return ("float" if dtype.itemsize == 4 else "double") if dtype.kind == "f" else f"i{8 * dtype.itemsize}"


def stored(dtype: np.dtype) -> str:
    """The type of one number in memory."""
    return "i8" if dtype.kind == "b" else scalar(dtype)


class Vectors(Emitter):
    """Writes the instructions of rows.

    Args:
        table: the rows.
        width: how many lanes a vector has.
        functions: names of functions of vectors that are defined elsewhere, by operation and type.
        prefix: of the names of values.
    """

    def __init__(self, table: Table, width: int, functions: dict[tuple[str, str], str], prefix: str = "t"):
        super().__init__(table)
        self.width = width
        self.functions = functions
        self.prefix = prefix
        self.lines: list[str] = []
        self.block = "entry"
        self.used: set[tuple[str, str]] = set()
        self.declared: set[str] = set()
        self.pairs: dict[tuple[int, ...], str] = {}  # what has been drawn, by the operands
        self.products: set[tuple[str, Matrix]] = set()  # functions that are called, by type and shape
        self.places: dict[int, tuple[int, int]] = {}  # of matrices' first numbers: which array, which number of it
        self.rooms: list[str] = []  # memory for all turns of a loop
        self._count = 0

    # Words.

    def vector(self, dtype: np.dtype) -> str:
        return f"<{self.width} x {scalar(dtype)}>"

    def constant(self, value: Any, dtype: np.dtype) -> str:
        if dtype.kind == "b":
            text = "true" if value else "false"
        elif dtype.kind == "f":
            text = f"0x{struct.unpack('>Q', struct.pack('>d', float(value)))[0]:016X}"
        else:
            text = str(int(value))
        return f"splat ({scalar(dtype)} {text})"

    def new(self, text: str) -> str:
        self._count += 1
        name = f"%{self.prefix}{self._count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def intrinsic(self, name: str, vector: str, *operands: str, result: str | None = None) -> str:
        suffix = f"v{self.width}{_suffix(vector)}"
        result = result or vector
        full = f"@llvm.{name}.{suffix}" if result == vector else f"@llvm.{name}.v{self.width}{_suffix(result)}.{suffix}"
        self.declared.add(f"declare {result} {full}({', '.join([vector] * len(operands))})")
        return self.new(f"call {result} {full}({', '.join(f'{vector} {x}' for x in operands)})")

    # Rows.

    def compute(self, row: int) -> str:
        table, operation = self.table, self.table.operations[row]
        operands = table.operands[row]
        if operation == "product":
            return self.product(row)
        if operation == "element":
            at = row - operands[0] - 1
            place = self.new(f"getelementptr {self.vector(table.dtypes[row])}, ptr {self.names[operands[0]]}, i64 {at}")
            return self.new(f"load {self.vector(table.dtypes[row])}, ptr {place}")
        names = [self.name(i) for i in operands]
        first, result = table.dtypes[operands[0]], table.dtypes[row]
        vector = self.vector(first)
        floats = first.kind == "f"
        if operation in FLOAT_COMPARISONS:
            return self.compared(operation, first, *names)
        if operation == "select":
            kind = self.vector(result)
            return self.new(f"select <{self.width} x i1> {names[0]}, {kind} {names[2]}, {kind} {names[1]}")
        if operation in ("max", "min"):
            return self.extreme(operation, first, operands, names)
        if operation in INSTRUCTIONS and (not floats or operation in ("add", "sub", "mul")):
            text = f"f{operation} contract" if floats else INSTRUCTIONS[operation]
            return self.new(f"{text} {vector} {names[0]}, {names[1]}")
        if operation in ("div", "rem"):
            if floats and operation == "div":
                return self.new(f"fdiv {vector} {names[0]}, {names[1]}")
            return self.new(f"frem {vector} {names[0]}, {names[1]}") if floats else self.whole(operation, first, *names)
        if operation == "neg":
            return self.new(f"fneg {vector} {names[0]}" if floats else f"sub {vector} zeroinitializer, {names[0]}")
        if operation == "not":
            return self.new(f"xor {vector} {names[0]}, {self.constant(True if first.kind == 'b' else -1, first)}")
        if operation == "abs" and not floats:
            negative = self.new(f"sub {vector} zeroinitializer, {names[0]}")
            below = self.compared("lt", first, names[0], "zeroinitializer")
            return self.new(f"select <{self.width} x i1> {below}, {vector} {negative}, {vector} {names[0]}")
        if operation in INTRINSICS:
            return self.intrinsic(INTRINSICS[operation], vector, names[0])
        if operation == "sign":
            return self.sign(first, names[0])
        if operation == "naught":
            return self.new(f"fmul contract {vector} {names[0]}, zeroinitializer")
        if operation == "is_finite":
            size = self.intrinsic("fabs", vector, names[0])
            return self.new(f"fcmp olt {vector} {size}, {self.constant(np.inf, first)}")
        if operation == "convert":
            return self.converted(first, result, names[0])
        if operation == "bitcast":
            return self.new(f"bitcast {vector} {names[0]} to {self.vector(result)}")
        if operation in ("shl", "srl", "sra"):
            return self.shifted(operation, first, names, table.values[operands[1]])
        if operation in ("threefry0", "threefry1"):
            return self.threefry(operands, names, int(operation[-1]))
        if operation in LIBRARY:
            key = (operation, scalar(first))
            self.used.add(key)
            arguments = ", ".join(f"{vector} {x}" for x in names)
            return self.new(f"call {vector} @{self.functions.get(key, library_name(*key))}({arguments})")
        raise NotImplementedError(operation)

    def compared(self, operation: str, dtype: np.dtype, a: str, b: str) -> str:
        if dtype.kind == "f":
            return self.new(f"fcmp {FLOAT_COMPARISONS[operation]} {self.vector(dtype)} {a}, {b}")
        signed = "s" if dtype.kind == "i" else "u"
        word = operation if operation in ("eq", "ne") else signed + operation
        return self.new(f"icmp {word} {self.vector(dtype)} {a}, {b}")

    def extreme(self, operation: str, dtype: np.dtype, operands: Sequence[int], names: list[str]) -> str:
        """The larger or smaller number; NaN if one of them is NaN."""
        vector, mask = self.vector(dtype), f"<{self.width} x i1>"
        a, b = names
        known = [value is not None and value == value for value in (self.table.values[i] for i in operands)]
        if known[1]:  # a number that is not NaN comes first: the comparison gives the second one if it is NaN
            a, b, known = b, a, [True, known[0]]
        better = self.compared("gt" if operation == "max" else "lt", dtype, a, b)
        out = self.new(f"select {mask} {better}, {vector} {a}, {vector} {b}")
        if dtype.kind != "f" or known[0]:
            return out
        nan = self.new(f"fcmp uno {vector} {a}, zeroinitializer")
        return self.new(f"select {mask} {nan}, {vector} {a}, {vector} {out}")

    def sign(self, dtype: np.dtype, x: str) -> str:
        vector, mask = self.vector(dtype), f"<{self.width} x i1>"
        above = self.compared("gt", dtype, x, "zeroinitializer")
        below = self.compared("lt", dtype, x, "zeroinitializer") if dtype.kind != "u" else None
        out = x if dtype.kind == "f" else "zeroinitializer"  # zeros and NaN stay
        if below is not None:
            out = self.new(f"select {mask} {below}, {vector} {self.constant(-1, dtype)}, {vector} {out}")
        return self.new(f"select {mask} {above}, {vector} {self.constant(1, dtype)}, {vector} {out}")

    def whole(self, operation: str, dtype: np.dtype, a: str, b: str) -> str:
        """A quotient or remainder of whole numbers, without the processor's traps."""
        vector, mask = self.vector(dtype), f"<{self.width} x i1>"
        signed = "s" if dtype.kind == "i" else "u"
        zero = self.compared("eq", dtype, b, "zeroinitializer")
        odd = minus = zero
        if dtype.kind == "i":
            minus = self.compared("eq", dtype, b, self.constant(-1, dtype))
            odd = self.new(f"or {mask} {zero}, {minus}")
        safe = self.new(f"select {mask} {odd}, {vector} {self.constant(1, dtype)}, {vector} {b}")
        out = self.new(f"{signed}{operation} {vector} {a}, {safe}")
        if dtype.kind == "i" and operation == "div":
            negative = self.new(f"sub {vector} zeroinitializer, {a}")
            out = self.new(f"select {mask} {minus}, {vector} {negative}, {vector} {out}")
        at_zero = self.constant(-1, dtype) if operation == "div" else a
        return self.new(f"select {mask} {zero}, {vector} {at_zero}, {vector} {out}")

    def threefry(self, operands: tuple[int, ...], names: list[str], which: int) -> str:
        """One of the two words that one call gives."""
        word = self.vector(np.dtype("uint32"))
        pair = f"{{ {word}, {word} }}"
        if operands not in self.pairs:
            self.used.add(("threefry", "i32"))
            self.pairs[operands] = self.new(f"call {pair} @threefry({', '.join(f'{word} {x}' for x in names)})")
        return self.new(f"extractvalue {pair} {self.pairs[operands]}, {which}")

    def shifted(self, operation: str, dtype: np.dtype, names: list[str], known: Any) -> str:
        """A shift; by as many bits as there are, or more, it leaves 0 (or the sign)."""
        a, b = names
        vector, mask = self.vector(dtype), f"<{self.width} x i1>"
        bits = 8 * dtype.itemsize
        if known is not None and 0 <= known < bits:
            return self.new(f"{SHIFTS[operation]} {vector} {a}, {b}")
        inside = self.new(f"icmp ult {vector} {b}, {self.constant(bits, dtype)}")
        amount = self.new(f"select {mask} {inside}, {vector} {b}, {vector} {self.constant(bits - 1, dtype)}")
        out = self.new(f"{SHIFTS[operation]} {vector} {a}, {amount}")
        if operation == "sra":
            return out
        return self.new(f"select {mask} {inside}, {vector} {out}, {vector} zeroinitializer")

    def converted(self, old: np.dtype, new: np.dtype, x: str) -> str:
        before, after = self.vector(old), self.vector(new)
        if new.kind == "b":
            return self.compared("ne", old, x, "zeroinitializer")
        if old.kind == "b":
            return self.new(f"{'uitofp' if new.kind == 'f' else 'zext'} {before} {x} to {after}")
        if old.kind == "f" and new.kind == "f":
            return self.new(f"{'fpext' if new.itemsize > old.itemsize else 'fptrunc'} {before} {x} to {after}")
        if old.kind == "f":
            return self.intrinsic(f"fpto{'s' if new.kind == 'i' else 'u'}i.sat", before, x, result=after)
        if new.kind == "f":
            return self.new(f"{'s' if old.kind == 'i' else 'u'}itofp {before} {x} to {after}")
        if new.itemsize == old.itemsize:
            return x
        if new.itemsize < old.itemsize:
            return self.new(f"trunc {before} {x} to {after}")
        return self.new(f"{'sext' if old.kind == 'i' else 'zext'} {before} {x} to {after}")

    def product(self, row: int) -> str:
        """A call for a product; the place of its results."""
        table, matrix = self.table, self.table.products[row]
        dtype = table.dtypes[row]
        vector, size = self.vector(dtype), self.width * dtype.itemsize
        x, y = (self.room(n * size) for n in (matrix.lines, matrix.columns))
        for i, operand in enumerate(table.operands[row][:-1]):
            place = self.new(f"getelementptr {vector}, ptr {x}, i64 {i}")
            self.lines.append(f"  store {vector} {self.name(operand)}, ptr {place}")
        array, number = self.places[matrix.first]
        first = self.new(f"getelementptr {scalar(dtype)}, ptr %array{array}, i64 {number}")
        self.products.add((scalar(dtype), matrix._replace(first=0)))
        name = products.name(scalar(dtype), matrix)
        self.lines.append(f"  call void @{name}(ptr {x}, ptr {first}, i64 %apart{array}, i64 %count, ptr {y})")
        return y

    def room(self, size: int) -> str:
        """Memory of so many bytes, for all turns of a loop."""
        self._count += 1
        self.rooms.append(f"  %room{self._count} = alloca i8, i64 {size}, align 64")
        return f"%room{self._count}"

    # Loops.

    def loop(self, block: Block) -> None:
        table, loop = self.table, block.loop
        for i in block.carries:
            self.names[loop.carries[i]] = f"%r{loop.carries[i]}"
        self._count += 1
        label, turn = f"loop{self._count}", f"%turn{self._count}"
        before, outer = self.block, self.lines
        self.block, self.lines = label, []
        if loop.condition is None:
            self.items(block.body)
            values = [self.name(loop.nexts[i]) for i in block.carries]
            self.lines.append(f"  {turn}.next = add i32 {turn}, 1")
            self.lines.append(f"  {turn}.more = icmp slt i32 {turn}.next, {loop.length}")
            self.lines.append(f"  br i1 {turn}.more, label %{label}, label %{label}.end")
        else:
            values = self.while_(block, label)
        last, body = self.block, self.lines
        self.lines = outer
        self.lines += [f"  br label %{label}", f"{label}:"]
        for i, value in zip(block.carries, values):
            row = loop.carries[i]
            start = f"[ {self.name(loop.starts[i])}, %{before} ]"
            self.lines.append(
                f"  {self.names[row]} = phi {self.vector(table.dtypes[row])} {start}, [ {value}, %{last} ]"
            )
        if loop.condition is None:
            self.lines.append(f"  {turn} = phi i32 [ 0, %{before} ], [ {turn}.next, %{last} ]")
        self.lines += body
        self.lines.append(f"{label}.end:")
        self.block = f"{label}.end"
        self.items(block.rest)

    def while_(self, block: Block, label: str) -> list[str]:
        """Turns until no lane of the chunk goes on; a lane that has ended keeps its values."""
        table, loop, mask = self.table, block.loop, f"<{self.width} x i1>"
        assert loop.condition is not None
        self.items(block.tested)
        going = self.name(loop.condition)
        some = f"@llvm.vector.reduce.or.v{self.width}i1"
        self.declared.add(f"declare i1 {some}({mask})")
        any_lane = self.new(f"call i1 {some}({mask} {going})")
        self.lines += [f"  br i1 {any_lane}, label %{label}.body, label %{label}.end", f"{label}.body:"]
        self.block = f"{label}.body"
        self.items(block.body)
        values = []
        for i in block.carries:
            kind, old = self.vector(table.dtypes[loop.carries[i]]), self.names[loop.carries[i]]
            values.append(self.new(f"select {mask} {going}, {kind} {self.name(loop.nexts[i])}, {kind} {old}"))
        self.lines.append(f"  br label %{label}")
        return values


def library_name(operation: str, kind: str) -> str:
    """The name of the function that calls the C library for every lane."""
    return f"library_{operation}_{kind}"


def library_function(operation: str, kind: str, width: int) -> str:
    """A function that calls the C library for every lane."""
    vector = f"<{width} x {kind}>"
    parameters = ["%x", "%y"] if operation in ("pow", "atan2") else ["%x"]
    symbol = operation + ("f" if kind == "float" else "")
    lines = [f"declare {kind} @{symbol}({', '.join([kind] * len(parameters))})"]
    head = ", ".join(f"{vector} {p}" for p in parameters)
    lines.append(f"define internal {vector} @{library_name(operation, kind)}({head}) noinline {{")
    out = "poison"
    for i in range(width):
        for p in parameters:
            lines.append(f"  {p}{i} = extractelement {vector} {p}, i32 {i}")
        lines.append(f"  %f{i} = call {kind} @{symbol}({', '.join(f'{kind} {p}{i}' for p in parameters)})")
        lines.append(f"  %o{i} = insertelement {vector} {out}, {kind} %f{i}, i32 {i}")
        out = f"%o{i}"
    lines += [f"  ret {vector} {out}", "}"]
    return "\n".join(lines)


class Use(NamedTuple):
    """How a chunk reads its input arrays, by their numbers."""

    turned: frozenset[int]  # element by element, a vector of lanes each: these are turned around before
    direct: frozenset[int]  # as matrices, from where they lie


def use(table: Table, inputs: list[Array], outputs: list[Array]) -> Use:
    """How some rows are made of others."""
    results, given = ([row for array in arrays for row in array.rows] for arrays in (outputs, inputs))
    computed = table.needed(results, given).difference(given)
    firsts = {table.products[row].first for row in computed if row in table.products}
    read = set(results)
    for row in computed:
        read.update(table.operands[row][:-1] if row in table.products else table.before(row))
    holding = lambda rows: frozenset(k for k, array in enumerate(inputs) if not rows.isdisjoint(array.rows))
    return Use(holding(read), holding(firsts))


def operations(table: Table, inputs: list[Array], outputs: list[Array]) -> int:
    """About how many operations on vectors a chunk takes; a loop of unknown length counts for one turn.

    A product waits for its matrix: it takes about the time of four operations a number.
    """
    results, given = ([row for array in arrays for row in array.rows] for arrays in (outputs, inputs))
    turns = table.turns()
    rows = table.needed(results, given).difference(given)
    cost = lambda m: 4 * m.lines * m.columns
    return sum(turns[table.regions[row]] * (cost(table.products[row]) if row in table.products else 1) for row in rows)


def chunk_function(
    name: str,
    table: Table,
    inputs: list[Array],
    outputs: list[Array],
    how: Use,
    width: int,
    functions: dict[tuple[str, str], str],
    failed: int | None = None,
) -> tuple[str, Vectors]:
    """`@name(ptr in, ptr out, i64 count, ptr array, i64 apart, ...)`: all rows for one chunk of lanes.

    It returns the lanes whose row `failed` is true.

    In memory a row of an array is a vector of `width` numbers; arrays follow each other, each from a multiple of 64
    bytes on. Arrays that hold matrices are given as they are, where the chunk's first lane has its own, and by how many
    numbers lanes are apart.
    """
    emitter = Vectors(table, width, functions)
    results, given = ([row for array in arrays for row in array.rows] for arrays in (outputs, inputs))
    results += [] if failed is None else [failed]
    needed = table.needed(results, given)
    at = 0
    for k, array in enumerate(inputs):
        if k in how.direct:
            emitter.places.update((row, (k, e)) for e, row in enumerate(array.rows))
        if k not in how.turned:
            continue
        memory = f"<{width} x {stored(array.dtype)}>"
        size = width * array.dtype.itemsize
        for e, row in enumerate(array.rows):
            if row in needed and row not in emitter.names:
                place = emitter.new(f"getelementptr i8, ptr %in, i64 {at + e * size}")
                value = emitter.new(f"load {memory}, ptr {place}, align {min(size, 64)}")
                emitter.names[row] = (
                    value if array.dtype.kind != "b" else emitter.new(f"icmp ne {memory} {value}, zeroinitializer")
                )
        at += room(len(array.rows) * size)
    emitter.items(scheduled(table, results, given))
    at = 0
    for array in outputs:
        memory = f"<{width} x {stored(array.dtype)}>"
        size = width * array.dtype.itemsize
        for k, row in enumerate(array.rows):
            value = emitter.name(row)
            if array.dtype.kind == "b":
                value = emitter.new(f"zext <{width} x i1> {value} to {memory}")
            place = emitter.new(f"getelementptr i8, ptr %out, i64 {at + k * size}")
            emitter.lines.append(f"  store {memory} {value}, ptr {place}, align {min(size, 64)}")
        at += room(len(array.rows) * size)
    mask = f"<{width} x i1>"
    matrices = "".join(f", ptr noalias %array{k}, i64 %apart{k}" for k in sorted(how.direct))
    head = f"define internal {mask} @{name}(ptr noalias %in, ptr noalias %out, i64 %count{matrices}) noinline {{"
    end = f"  ret {mask} {'zeroinitializer' if failed is None else emitter.name(failed)}"
    return "\n".join([head, "entry:", *emitter.rooms, *emitter.lines, end, "}"]), emitter


def guarded_chunk(outputs: list[Array], width: int) -> str:
    """`@chunk(ptr in, ptr out, i64 count)`: `@relaxed`, and where that fails, in the lanes that failed, `@strict`."""
    mask = f"<{width} x i1>"
    some = f"@llvm.vector.reduce.or.v{width}i1"
    size = sum(room(len(a.rows) * width * a.dtype.itemsize) for a in outputs)
    lines = [
        f"define internal {mask} @chunk(ptr noalias %in, ptr noalias %out, i64 %count) noinline {{",
        f"  %failed = call {mask} @relaxed(ptr %in, ptr %out, i64 %count)",
        f"  %some = call i1 {some}({mask} %failed)",
        "  br i1 %some, label %again, label %done",
        "again:",
        f"  %memory = alloca i8, i64 {size}, align 64",
        f"  call {mask} @strict(ptr %in, ptr %memory, i64 %count)",
    ]
    at, before = 0, "again"
    for k, array in enumerate(outputs):
        memory, bytes_ = f"<{width} x i{8 * array.dtype.itemsize}>", width * array.dtype.itemsize
        lines += [
            f"  br label %array{k}",
            f"array{k}:",
            f"  %place{k} = phi i64 [ {at}, %{before} ], [ %next{k}, %array{k} ]",
            f"  %from{k} = getelementptr i8, ptr %memory, i64 %place{k}",
            f"  %to{k} = getelementptr i8, ptr %out, i64 %place{k}",
            f"  %strict{k} = load {memory}, ptr %from{k}, align {min(bytes_, 64)}",
            f"  %relaxed{k} = load {memory}, ptr %to{k}, align {min(bytes_, 64)}",
            f"  %right{k} = select {mask} %failed, {memory} %strict{k}, {memory} %relaxed{k}",
            f"  store {memory} %right{k}, ptr %to{k}, align {min(bytes_, 64)}",
            f"  %next{k} = add i64 %place{k}, {bytes_}",
            f"  %more{k} = icmp ult i64 %next{k}, {at + len(array.rows) * bytes_}",
            f"  br i1 %more{k}, label %array{k}, label %after{k}",
            f"after{k}:",
        ]
        at, before = at + room(len(array.rows) * bytes_), f"after{k}"
    lines += ["  br label %done", "done:", f"  ret {mask} zeroinitializer", "}", f"declare i1 {some}({mask})"]
    return "\n".join(lines)


def room(size: int) -> int:
    """Bytes up to the next multiple of 64."""
    return -(-size // 64) * 64


def _suffix(vector: str) -> str:
    kind = vector.strip("<>").split(" x ")[1]
    return {"float": "f32", "double": "f64"}.get(kind, kind)
