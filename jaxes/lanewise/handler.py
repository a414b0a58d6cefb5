"""The function that XLA calls: it deals lanes to `@chunk`, a vector's worth at a time.

Arrays of JAX have the lane first, a chunk wants it last: every array is turned around in a buffer of its own.
"""

from jaxes.lanewise import threads, turning
from jaxes.lanewise.frame import CONTEXT, DATA, DIMENSIONS, INTERFACE, RANK, entered, load, store
from jaxes.lanewise.llvm import Array, Use, room


def handler(
    symbol: str, inputs: list[tuple[Array, int]], outputs: list[Array], width: int, how: Use, operations: int
) -> str:
    """The handler's source.

    Args:
        symbol: its name.
        inputs: arrays, and how many axes each has in one lane. One that comes without an axis of lanes is the same for
            all of them.
        outputs: arrays.
        width: lanes in a vector.
        how: how the chunk reads its inputs.
        operations: of a chunk.
    """
    lines = entered(symbol)
    fields: list[tuple[str, str]] = []  # of the job, by type and name
    for k, (array, rank) in enumerate(inputs):
        lines += load(f"argument{k}", "ptr", "%arguments", 8 * k)
        lines += load(f"from{k}", "ptr", f"%argument{k}", DATA)
        lines += load(f"rank{k}", "i64", f"%argument{k}", RANK)
        lines += [
            f"  %by_lane{k} = icmp ugt i64 %rank{k}, {rank}",
            f"  %stride{k} = select i1 %by_lane{k}, i64 {len(array.rows)}, i64 0",
        ]
        fields += [("ptr", f"from{k}"), ("i64", f"stride{k}")]
    for k in range(len(outputs)):
        lines += load(f"result{k}", "ptr", "%results", 8 * k)
        lines += load(f"to{k}", "ptr", f"%result{k}", DATA)
        fields.append(("ptr", f"to{k}"))
    lines += load("dimensions", "ptr", "%result0", DIMENSIONS)
    lines += load("lanes", "i64", "%dimensions", 0)
    lines += load("interface", "ptr", "%frame", INTERFACE)
    lines += load("context", "ptr", "%frame", CONTEXT)
    lines += [
        f"  %beyond = add i64 %lanes, {width - 1}",
        f"  %chunks = udiv i64 %beyond, {width}",
        f"  %job = call ptr @malloc(i64 {threads.FIELDS + 8 * len(fields) + 8})",
        *store("i64", "%lanes", "%job", threads.FIELDS),
    ]
    for at, (kind, name) in enumerate(fields, 1):
        lines += store(kind, f"%{name}", "%job", threads.FIELDS + 8 * at)
    lines += [
        f"  call void @shared_out(ptr %job, i64 %chunks, i64 {operations}, ptr %interface, ptr %context)",
        "  ret ptr null",
        "}",
        threads.shared_out(),
        _worker(fields, inputs, outputs, width, how),
    ]
    return "\n".join(lines)


def _worker(
    fields: list[tuple[str, str]], inputs: list[tuple[Array, int]], outputs: list[Array], width: int, how: Use
) -> str:
    """`@work(job, chunks, counter, last)`: do chunks until all are taken; from the `last` one down, or from 0 up."""
    turned = [(k, array) for k, (array, _) in enumerate(inputs) if k in how.turned]
    sizes_in = {k: room(len(array.rows) * width * array.dtype.itemsize) for k, array in turned}
    sizes_out = [room(len(a.rows) * width * a.dtype.itemsize) for a in outputs]
    lines = [
        "define internal void @work(ptr %job, i64 %chunks, i1 %backwards) noinline {",
        "entry:",
        f"  %memory = call ptr @malloc(i64 {sum(sizes_in.values()) + sum(sizes_out) + 64})",
        "  %address = ptrtoint ptr %memory to i64",
        "  %beyond = add i64 %address, 63",
        "  %aligned = and i64 %beyond, -64",
        "  %in = inttoptr i64 %aligned to ptr",
        f"  %out = getelementptr i8, ptr %in, i64 {sum(sizes_in.values())}",
        *load("lanes", "i64", "%job", threads.FIELDS),
    ]
    for at, (kind, name) in enumerate(fields, 1):
        lines += load(name, kind, "%job", threads.FIELDS + 8 * at)
    lines += [
        "  br label %chunks.next",
        "chunks.next:",
        "  %number = call i64 @taken(ptr %job, i64 %chunks, i1 %backwards)",
        "  %some = icmp ult i64 %number, %chunks",
        "  br i1 %some, label %chunk, label %done",
        "chunk:",
        f"  %lane = mul i64 %number, {width}",
        "  %left = sub i64 %lanes, %lane",
        f"  %count = call i64 @llvm.umin.i64(i64 %left, i64 {width})",
    ]
    at = 0
    for k, (array, _) in enumerate(inputs):
        lines += [
            f"  %first{k} = mul i64 %lane, %stride{k}",
            f"  %source{k} = getelementptr i{8 * array.dtype.itemsize}, ptr %from{k}, i64 %first{k}",
        ]
    for k, array in turned:
        bytes_ = array.dtype.itemsize
        lines += [
            f"  %stagein{k} = getelementptr i8, ptr %in, i64 {at}",
            f"  call void @{turning.name('lanes_last', 8 * bytes_, len(array.rows))}"
            f"(ptr %source{k}, ptr %stagein{k}, i64 %stride{k}, i64 %count)",
        ]
        at += sizes_in[k]
    matrices = [f", ptr %source{k}, i64 %stride{k}" for k in sorted(how.direct)]
    lines.append(f"  call <{width} x i1> @chunk(ptr %in, ptr %out, i64 %count{''.join(matrices)})")
    at = 0
    for k, (array, size) in enumerate(zip(outputs, sizes_out)):
        bytes_ = array.dtype.itemsize
        lines += [
            f"  %begin{k} = mul i64 %lane, {len(array.rows)}",
            f"  %target{k} = getelementptr i{8 * bytes_}, ptr %to{k}, i64 %begin{k}",
            f"  %stageout{k} = getelementptr i8, ptr %out, i64 {at}",
            f"  call void @{turning.name('lanes_first', 8 * bytes_, len(array.rows))}"
            f"(ptr %stageout{k}, ptr %target{k}, i64 %count)",
        ]
        at += size
    lines += [
        "  call void @finished(ptr %job)",
        "  br label %chunks.next",
        "done:",
        "  call void @free(ptr %memory)",
        "  ret void",
        "}",
        "declare ptr @malloc(i64)",
        "declare void @free(ptr)",
    ]
    return "\n".join(lines)
