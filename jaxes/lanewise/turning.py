"""Turn arrays around in memory: from [lanes, elements], as JAX has them, to [elements, lanes], as a chunk wants them.

Numbers of 32 bits move in squares of a vector's width, which are transposed in registers (Eklundh 1972): in stage s,
rows whose numbers differ in bit s exchange the halves in which that bit differs. Lanes of a few elements are read and
written as one piece, whose numbers are dealt to vectors one after the other.
"""

# Lanes of so many elements are a piece, by their bits.
FEW = {32: 6}
FEW_OTHERS = 12


def lanes_last(bits: int, elements: int, width: int) -> str:
    """`@lanes_last`: from rows that are `stride` numbers apart. Lanes beyond `count` repeat the last one."""
    kind, vector = f"i{bits}", f"<{width} x i{bits}>"
    align = min(width * bits // 8, 64)
    lines = [
        f"define internal void @{name('lanes_last', bits, elements)}"
        "(ptr noalias %from, ptr noalias %to, i64 %stride, i64 %count) {",
        "entry:",
        "  %most = sub i64 %count, 1",
        *(_piece_in(kind, elements, width) if _few(bits, elements) else []),
    ]
    for w in range(width):
        lines += [
            f"  %l{w} = call i64 @llvm.umin.i64(i64 {w}, i64 %most)",
            f"  %o{w} = mul i64 %l{w}, %stride",
            f"  %p{w} = getelementptr {kind}, ptr %from, i64 %o{w}",
        ]
    lines.append("  br label %start")
    lines.append("start:")
    squares = elements // width if bits == 32 else 0
    if squares:
        body = []
        for w in range(width):
            body += [
                f"  %q{w} = getelementptr {kind}, ptr %p{w}, i64 %e",
                f"  %x{w} = load {vector}, ptr %q{w}, align 1",
            ]
        turned, more = _turned([f"%x{w}" for w in range(width)], bits, width, width, "s")
        body += more
        body.append(f"  %t = getelementptr {kind}, ptr %to, i64 %s")
        for w in range(width):
            body += [
                f"  %t{w} = getelementptr {vector}, ptr %t, i64 {w}",
                f"  store {vector} {turned[w]}, ptr %t{w}, align {align}",
            ]
        lines += _counted("squares", "start", "e", squares, width, [f"  %s = mul i64 %e, {width}", *body])
    left = elements - squares * width
    done = squares * width
    if left and bits == 32:
        mask = "<" + ", ".join(f"i1 {'true' if k < left else 'false'}" for k in range(width)) + ">"
        for w in range(width):
            lines += [
                f"  %rq{w} = getelementptr {kind}, ptr %p{w}, i64 {done}",
                f"  %rx{w} = call {vector} @llvm.masked.load.v{width}i32.p0(ptr %rq{w}, i32 4, <{width} x i1> {mask},"
                f" {vector} poison)",
            ]
        turned, more = _turned([f"%rx{w}" for w in range(width)], bits, width, left, "r")
        lines += more
        for k in range(left):
            lines += [
                f"  %rt{k} = getelementptr {kind}, ptr %to, i64 {(done + k) * width}",
                f"  store {vector} {turned[k]}, ptr %rt{k}, align {align}",
            ]
    elif left:
        body, out = [], "poison"
        for w in range(width):
            body += [
                f"  %q{w} = getelementptr {kind}, ptr %p{w}, i64 %e",
                f"  %x{w} = load {kind}, ptr %q{w}",
                f"  %v{w} = insertelement {vector} {out}, {kind} %x{w}, i32 {w}",
            ]
            out = f"%v{w}"
        body += [
            f"  %s = mul i64 %e, {width}",
            f"  %t = getelementptr {kind}, ptr %to, i64 %s",
            f"  store {vector} {out}, ptr %t, align {align}",
        ]
        lines += _counted("each", "start", "e", elements, 1, body)
    return "\n".join([*lines, "  ret void", "}"])


def lanes_first(bits: int, elements: int, width: int) -> str:
    """`@lanes_first`: the way back, for the first `count` lanes."""
    kind, vector = f"i{bits}", f"<{width} x i{bits}>"
    align = min(width * bits // 8, 64)
    lines = [
        f"define internal void @{name('lanes_first', bits, elements)}"
        "(ptr noalias %from, ptr noalias %to, i64 %count) {",
        "entry:",
        *(_piece_out(kind, elements, width) if _few(bits, elements) else []),
    ]
    if bits == 32:
        lines += [f"  %full = icmp eq i64 %count, {width}", "  br i1 %full, label %start, label %some", "start:"]
        squares = elements // width
        left, done = elements - squares * width, squares * width
        if squares:
            body = [f"  %s = mul i64 %e, {width}", f"  %f = getelementptr {kind}, ptr %from, i64 %s"]
            for w in range(width):
                body += [
                    f"  %f{w} = getelementptr {vector}, ptr %f, i64 {w}",
                    f"  %x{w} = load {vector}, ptr %f{w}, align {align}",
                ]
            turned, more = _turned([f"%x{w}" for w in range(width)], bits, width, width, "s")
            body += more
            for w in range(width):
                body += [
                    f"  %g{w} = add i64 %e, {w * elements}",
                    f"  %t{w} = getelementptr {kind}, ptr %to, i64 %g{w}",
                    f"  store {vector} {turned[w]}, ptr %t{w}, align 1",
                ]
            lines += _counted("squares", "start", "e", squares, width, body)
        if left:
            mask = "<" + ", ".join(f"i1 {'true' if k < left else 'false'}" for k in range(width)) + ">"
            for k in range(left):
                lines += [
                    f"  %rf{k} = getelementptr {kind}, ptr %from, i64 {(done + k) * width}",
                    f"  %rx{k} = load {vector}, ptr %rf{k}, align {align}",
                ]
            rows = [f"%rx{k}" if k < left else "poison" for k in range(width)]
            turned, more = _turned(rows, bits, width, width, "r")
            lines += more
            for w in range(width):
                lines += [
                    f"  %rt{w} = getelementptr {kind}, ptr %to, i64 {w * elements + done}",
                    f"  call void @llvm.masked.store.v{width}i32.p0({vector} {turned[w]}, ptr %rt{w}, i32 4,"
                    f" <{width} x i1> {mask})",
                ]
        lines += ["  ret void", "some:"]
    body = [
        "  %w = udiv i64 %k, " + str(elements),
        "  %m = urem i64 %k, " + str(elements),
        f"  %a = mul i64 %m, {width}",
        "  %b = add i64 %a, %w",
        f"  %c = getelementptr {kind}, ptr %from, i64 %b",
        f"  %x = load {kind}, ptr %c",
        f"  %d = getelementptr {kind}, ptr %to, i64 %k",
        f"  store {kind} %x, ptr %d",
    ]
    before = "some" if bits == 32 else "rows" if _few(bits, elements) else "entry"
    lines += [f"  %all = mul i64 %count, {elements}", *_counted("each", before, "k", "%all", 1, body)]
    return "\n".join([*lines, "  ret void", "}"])


def _few(bits: int, elements: int) -> bool:
    return elements <= FEW.get(bits, FEW_OTHERS)


def _piece_in(kind: str, elements: int, width: int) -> list[str]:
    """All lanes of a chunk that lie beside each other, at once; else go on at `rows`."""
    vector = f"<{width} x {kind}>"
    lines = [
        f"  %beside = icmp eq i64 %stride, {elements}",
        f"  %full = icmp eq i64 %count, {width}",
        "  %piece = and i1 %beside, %full",
        "  br i1 %piece, label %whole, label %rows",
        "whole:",
    ]
    for k in range(elements):
        lines += [
            f"  %wp{k} = getelementptr {vector}, ptr %from, i64 {k}",
            f"  %w{k} = load {vector}, ptr %wp{k}, align 1",
        ]
    for k in range(elements):
        out, more = _dealt([f"%w{j}" for j in range(elements)], [k + elements * w for w in range(width)], vector, k)
        lines += [
            *more,
            f"  %wt{k} = getelementptr {vector}, ptr %to, i64 {k}",
            f"  store {vector} {out}, ptr %wt{k}, align 1",
        ]
    return [*lines, "  ret void", "rows:"]


def _piece_out(kind: str, elements: int, width: int) -> list[str]:
    """The way back."""
    vector = f"<{width} x {kind}>"
    lines = [f"  %piece = icmp eq i64 %count, {width}", "  br i1 %piece, label %whole, label %rows", "whole:"]
    for k in range(elements):
        lines += [
            f"  %wp{k} = getelementptr {vector}, ptr %from, i64 {k}",
            f"  %w{k} = load {vector}, ptr %wp{k}, align 1",
        ]
    for k in range(elements):
        places = [(p % elements) * width + p // elements for p in range(k * width, (k + 1) * width)]
        out, more = _dealt([f"%w{j}" for j in range(elements)], places, vector, k)
        lines += [
            *more,
            f"  %wt{k} = getelementptr {vector}, ptr %to, i64 {k}",
            f"  store {vector} {out}, ptr %wt{k}, align 1",
        ]
    return [*lines, "  ret void", "rows:"]


def _dealt(vectors: list[str], places: list[int], vector: str, label: int) -> tuple[str, list[str]]:
    """A vector of numbers from places in a row of vectors, and the instructions."""
    width, lines, out = len(places), [], vectors[0]
    if len(vectors) == 1:
        return out, lines
    for j in range(1, len(vectors)):
        first = [p if p < width else 0 for p in places] if j == 1 else list(range(width))
        mask = [width + p % width if p // width == j else first[i] for i, p in enumerate(places)]
        numbers = ", ".join(f"i32 {m}" for m in mask)
        name = f"%d{label}.{j}"
        lines.append(f"  {name} = shufflevector {vector} {out}, {vector} {vectors[j]}, <{width} x i32> <{numbers}>")
        out = name
    return out, lines


def declared(width: int) -> set[str]:
    """What the functions call."""
    vector, mask = f"<{width} x i32>", f"<{width} x i1>"
    return {
        "declare i64 @llvm.umin.i64(i64, i64)",
        f"declare {vector} @llvm.masked.load.v{width}i32.p0(ptr, i32, {mask}, {vector})",
        f"declare void @llvm.masked.store.v{width}i32.p0({vector}, ptr, i32, {mask})",
    }


def name(what: str, bits: int, elements: int) -> str:
    """The name of the function for numbers of so many bits and so many elements a lane."""
    return f"{what}_{bits}_{elements}"


def _counted(label: str, before: str, variable: str, times: int | str, step: int, body: list[str]) -> list[str]:
    """A loop that runs at least once, while the variable, which grows by `step`, is below `times * step`."""
    end = times * step if isinstance(times, int) else times
    return [
        *([] if before == label else [f"  br label %{label}"]),
        f"{label}:",
        f"  %{variable} = phi i64 [ 0, %{before} ], [ %{variable}.next, %{label} ]",
        *body,
        f"  %{variable}.next = add i64 %{variable}, {step}",
        f"  %{variable}.more = icmp ult i64 %{variable}.next, {end}",
        f"  br i1 %{variable}.more, label %{label}, label %{label}.end",
        f"{label}.end:",
    ]


def _turned(rows: list[str], bits: int, width: int, wanted: int, prefix: str) -> tuple[list[str], list[str]]:
    """The transposed square of some vectors, and the instructions. Only the first `wanted` ones are needed."""
    vector, lines = f"<{width} x i{bits}>", []
    shift = 1
    while shift < width:
        out = list(rows)
        masks = [[], []]
        for k in range(width):
            masks[0].append(k if not k & shift else width + k - shift)
            masks[1].append(k + shift if not k & shift else width + k)
        for i in range(width):
            if i & shift:
                continue
            for place, mask in zip((i, i + shift), masks):
                if rows[i] == rows[i + shift] == "poison":
                    continue
                numbers = ", ".join(f"i32 {k}" for k in mask)
                out[place] = f"%{prefix}{shift}.{place}"
                lines.append(
                    f"  {out[place]} = shufflevector {vector} {rows[i]}, {vector} {rows[i + shift]},"
                    f" <{width} x i32> <{numbers}>"
                )
        rows, shift = out, 2 * shift
    return rows[:wanted], lines
