"""Products of vectors and large matrices, where every lane has a matrix of its own: the weights of its policy.

Such a matrix is read once and from where it lies: it is not turned around, and none of its numbers becomes a vector of
lanes. For one lane after the other, a register holds neighboring columns, to which one line after the other is added,
times an element of the vector. Only the results are turned around.
"""

import bisect
from collections.abc import Iterator

import numpy as np

from jaxes.lanewise import turning
from jaxes.lanewise.table import Matrix, Table

# Smaller or narrower matrices are turned around faster (benchmarks/lanewise.py).
SMALLEST = 128
NARROWEST = 8
# Registers that hold sums at once: a processor has begun so many before it has finished the first.
SUMS = 8


def found(table: Table, starts: list[int], vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
    """Rows of the products of some vectors with a matrix that comes from outside, or with several side by side.

    Args:
        table: where the rows are written.
        starts: the first rows of all arrays that come from outside.
        vectors: rows [k, lines].
        matrix: rows [lines, columns].

    Returns:
        Rows [k, columns]; None if the matrix is anything else, or too small for that.
    """
    dtype = table.dtypes[int(matrix.flat[0])]
    if dtype.kind != "f" or matrix.size < SMALLEST or matrix.shape[1] < NARROWEST:
        return None
    parts = list(_parts(table, starts, matrix))
    if sum(part.columns for part in parts) < matrix.shape[1] or min(part.columns for part in parts) < NARROWEST:
        return None
    return np.array([[row for part in parts for row in table.product(x, part)] for x in vectors.tolist()], np.int64)


def _parts(table: Table, starts: list[int], rows: np.ndarray) -> Iterator[Matrix]:
    """Neighboring parts of a matrix, from left to right, that lie in memory as they are, up to one that does not.

    The elements of an array that comes from outside are neighboring rows of the table.
    """
    lines, columns = rows.shape
    first = rows[0]
    steps = rows[1] - first if lines > 1 else np.zeros_like(first)
    breaks = np.flatnonzero((np.diff(first) != 1) | (np.diff(steps) != 0)) + 1
    for begin, end in zip([0, *breaks], [*breaks, columns]):
        at, stride = int(first[begin]), int(steps[begin])
        last = at + (lines - 1) * stride + int(end - begin) - 1
        there = at + stride * np.arange(lines)[:, None] + np.arange(end - begin)
        inside = bisect.bisect_right(starts, at) == bisect.bisect_right(starts, last)
        if stride < 0 or not inside or table.operations[at] != "input" or (rows[:, begin:end] != there).any():
            return
        yield Matrix(at, stride, lines, int(end - begin))


def name(kind: str, matrix: Matrix) -> str:
    """The name of the function for matrices of that shape, wherever they lie."""
    return f"product_{kind}_{matrix.lines}_{matrix.columns}_{matrix.stride}"


def turned(kind: str, matrix: Matrix) -> tuple[int, int]:
    """Of the function that turns the results around: bits, and elements."""
    return 32 if kind == "float" else 64, matrix.columns


def declared(kind: str, matrix: Matrix, width: int) -> set[str]:
    """What the function calls."""
    vector = f"<{width} x {kind}>"
    return {f"declare {vector} {_masked(kind, width)}(ptr, i32, <{width} x i1>, {vector})"}


def product(kind: str, matrix: Matrix, width: int) -> str:
    """`@product(x, matrix, apart, count, y)`: y = x @ matrix for a chunk of lanes.

    `x` is [lines, width], `y` [columns, width]; the matrices of neighboring lanes are `apart` numbers apart. Lanes
    beyond `count` repeat the last one.
    """
    bits, columns = turned(kind, matrix)
    whole = -(-columns // width) * width
    lines = [
        f"define internal void @{name(kind, matrix)}"
        "(ptr noalias %x, ptr noalias %matrix, i64 %apart, i64 %count, ptr noalias %y) noinline {",
        "entry:",
        f"  %sums = alloca [{width * whole} x {kind}], align 64",
        "  %most = sub i64 %count, 1",
        "  br label %lane",
        "lane:",
        "  %l = phi i64 [ 0, %entry ], [ %l.next, %lane.end ]",
        "  %own = call i64 @llvm.umin.i64(i64 %l, i64 %most)",
        "  %away = mul i64 %own, %apart",
        f"  %m = getelementptr {kind}, ptr %matrix, i64 %away",
        f"  %v = getelementptr {kind}, ptr %x, i64 %l",
        f"  %begin = mul i64 %l, {whole}",
        f"  %out = getelementptr {kind}, ptr %sums, i64 %begin",
    ]
    before = "lane"
    for begin in range(0, columns, SUMS * width):
        lines += _columns(kind, matrix, width, begin, before)
        before = f"c{begin}.end"
    lines += [
        "  br label %lane.end",
        "lane.end:",
        "  %l.next = add i64 %l, 1",
        f"  %l.more = icmp ult i64 %l.next, {width}",
        "  br i1 %l.more, label %lane, label %end",
        "end:",
        f"  call void @{turning.name('lanes_last', bits, columns)}(ptr %sums, ptr %y, i64 {whole}, i64 {width})",
        "  ret void",
        "}",
    ]
    return "\n".join(lines)


def _columns(kind: str, matrix: Matrix, width: int, begin: int, before: str) -> list[str]:
    """The sums of one lane for as many columns as there are registers, or of every n-th line if these are few."""
    vector, label = f"<{width} x {kind}>", f"c{begin}"
    blocks = range(begin, min(matrix.columns, begin + SUMS * width), width)
    apart = min(max(1, SUMS // len(blocks)), matrix.lines)
    carried = {(n, b): f"%{label}.{n}.{b}" for n in range(apart) for b in blocks}
    sums: dict[tuple[int, int], str] = dict(carried)
    body = []
    for n in range(apart):
        body.append(f"  %{label}.line{n} = add i64 %{label}.i, {n}")
        body += _line(kind, matrix, width, f"%{label}.line{n}", f"{label}.t{n}", n, sums)
    times = matrix.lines // apart
    lines = [
        f"  br label %{label}",
        f"{label}:",
        f"  %{label}.i = phi i64 [ 0, %{before} ], [ %{label}.next, %{label} ]",
    ]
    lines += [
        f"  {x} = phi {vector} [ zeroinitializer, %{before} ], [ {sums[at]}, %{label} ]" for at, x in carried.items()
    ]
    lines += [
        *body,
        f"  %{label}.next = add i64 %{label}.i, {apart}",
        f"  %{label}.more = icmp ult i64 %{label}.next, {times * apart}",
        f"  br i1 %{label}.more, label %{label}, label %{label}.end",
        f"{label}.end:",
    ]
    for n in range(matrix.lines - times * apart):
        lines += _line(kind, matrix, width, str(times * apart + n), f"{label}.r{n}", n, sums)
    for b in blocks:
        total = sums[0, b]
        for n in range(1, apart):
            lines.append(f"  %{label}.sum{n}.{b} = fadd {vector} {total}, {sums[n, b]}")
            total = f"%{label}.sum{n}.{b}"
        lines.append(f"  %{label}.to{b} = getelementptr {kind}, ptr %out, i64 {b}")
        lines.append(f"  store {vector} {total}, ptr %{label}.to{b}")
    return lines


def _line(
    kind: str, matrix: Matrix, width: int, number: str, mark: str, n: int, sums: dict[tuple[int, int], str]
) -> list[str]:
    """Add one line, times its element of the vector, to the n-th of the sums."""
    vector, mask, size = f"<{width} x {kind}>", f"<{width} x i1>", 4 if kind == "float" else 8
    lines = [
        f"  %{mark}.xo = mul i64 {number}, {width}",
        f"  %{mark}.xp = getelementptr {kind}, ptr %v, i64 %{mark}.xo",
        f"  %{mark}.x = load {kind}, ptr %{mark}.xp",
        f"  %{mark}.x0 = insertelement {vector} poison, {kind} %{mark}.x, i32 0",
        f"  %{mark}.xs = shufflevector {vector} %{mark}.x0, {vector} poison, <{width} x i32> zeroinitializer",
        f"  %{mark}.mo = mul i64 {number}, {matrix.stride}",
        f"  %{mark}.mp = getelementptr {kind}, ptr %m, i64 %{mark}.mo",
    ]
    for b in [b for at, b in sums if at == n]:
        left = matrix.columns - b
        lines.append(f"  %{mark}.p{b} = getelementptr {kind}, ptr %{mark}.mp, i64 {b}")
        if left >= width:
            lines.append(f"  %{mark}.w{b} = load {vector}, ptr %{mark}.p{b}, align {size}")
        else:
            there = ", ".join(f"i1 {'true' if k < left else 'false'}" for k in range(width))
            lines.append(
                f"  %{mark}.w{b} = call {vector} {_masked(kind, width)}(ptr %{mark}.p{b}, i32 {size}, {mask} <{there}>,"
                f" {vector} zeroinitializer)"
            )
        lines.append(f"  %{mark}.f{b} = fmul contract {vector} %{mark}.xs, %{mark}.w{b}")
        lines.append(f"  %{mark}.s{b} = fadd contract {vector} {sums[n, b]}, %{mark}.f{b}")
        sums[n, b] = f"%{mark}.s{b}"
    return lines


def _masked(kind: str, width: int) -> str:
    return f"@llvm.masked.load.v{width}f{32 if kind == 'float' else 64}.p0"
