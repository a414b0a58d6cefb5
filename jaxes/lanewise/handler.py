"""The function that XLA calls: it deals lanes to `@chunk`, a vector's worth at a time.

Its one argument is XLA's call frame (`xla/ffi/api/c_api.h`), read at the offsets of version 0 of that interface. Arrays
of JAX have the lane first, a chunk wants it last: the handler turns every array around in a buffer of its own.
"""

import re
from functools import cache
from pathlib import Path

import jax

from jaxes.lanewise import turning
from jaxes.lanewise.llvm import Array, room

# Offsets of fields, in bytes: of the call frame,
EXTENSION, STAGE, ARGUMENTS, RESULTS = 8, 32, 72, 112
# of the extension by which XLA asks for the version that a handler speaks, and of what is filled in,
KIND, METADATA, MAJOR, MINOR, TRAITS = 8, 24, 24, 28, 32
# and of a buffer.
DATA, RANK, DIMENSIONS = 24, 32, 40
EXECUTE = 3


@cache
def version() -> tuple[int, int]:
    """The version of XLA's interface for foreign functions that this jaxlib has."""
    text = (Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h").read_text()
    number = lambda name: int(re.search(rf"#define {name} (\d+)", text).group(1))  # pyrefly: ignore
    return number("XLA_FFI_API_MAJOR"), number("XLA_FFI_API_MINOR")


def entered(symbol: str, traits: int = 0) -> list[str]:
    """The beginning of a handler, up to where it is asked to run: what XLA asks about it, and its arrays."""
    major, minor = version()
    return [
        f"define ptr @{symbol}(ptr %frame) {{",
        "entry:",
        *load("extension", "ptr", "%frame", EXTENSION),
        "  %asked = icmp ne ptr %extension, null",
        "  br i1 %asked, label %extended, label %staged",
        "extended:",
        *load("kind", "i32", "%extension", KIND),
        "  %is_metadata = icmp eq i32 %kind, 1",
        "  br i1 %is_metadata, label %metadata, label %staged",
        "metadata:",
        *load("about", "ptr", "%extension", METADATA),
        *store("i32", str(major), "%about", MAJOR),
        *store("i32", str(minor), "%about", MINOR),
        *store("i32", str(traits), "%about", TRAITS),
        "  ret ptr null",
        "staged:",
        *load("stage", "i32", "%frame", STAGE),
        f"  %runs = icmp eq i32 %stage, {EXECUTE}",
        "  br i1 %runs, label %run, label %nothing",
        "nothing:",
        "  ret ptr null",
        "run:",
        *load("arguments", "ptr", "%frame", ARGUMENTS),
        *load("results", "ptr", "%frame", RESULTS),
    ]


def handler(symbol: str, inputs: list[tuple[Array, int]], outputs: list[Array], width: int) -> str:
    """The handler's source.

    Args:
        symbol: its name.
        inputs: arrays, and how many axes each has in one lane. One that comes without an axis of lanes is the same for
            all of them.
        outputs: arrays.
        width: lanes in a vector.
    """
    lines = entered(symbol)
    sizes_in = [room(len(a.rows) * width * a.dtype.itemsize) for a, _ in inputs]
    sizes_out = [room(len(a.rows) * width * a.dtype.itemsize) for a in outputs]
    lines += [
        f"  %memory = call ptr @malloc(i64 {sum(sizes_in) + sum(sizes_out) + 64})",
        "  %address = ptrtoint ptr %memory to i64",
        "  %beyond = add i64 %address, 63",
        "  %aligned = and i64 %beyond, -64",
        "  %in = inttoptr i64 %aligned to ptr",
        f"  %out = getelementptr i8, ptr %in, i64 {sum(sizes_in)}",
    ]
    for k, (array, rank) in enumerate(inputs):
        lines += load(f"argument{k}", "ptr", "%arguments", 8 * k)
        lines += load(f"from{k}", "ptr", f"%argument{k}", DATA)
        lines += load(f"rank{k}", "i64", f"%argument{k}", RANK)
        lines += [
            f"  %by_lane{k} = icmp ugt i64 %rank{k}, {rank}",
            f"  %stride{k} = select i1 %by_lane{k}, i64 {len(array.rows)}, i64 0",
        ]
    for k in range(len(outputs)):
        lines += load(f"result{k}", "ptr", "%results", 8 * k)
        lines += load(f"to{k}", "ptr", f"%result{k}", DATA)
    lines += load("dimensions", "ptr", "%result0", DIMENSIONS)
    lines += load("lanes", "i64", "%dimensions", 0)
    lines += [
        "  br label %chunks",
        "chunks:",
        "  %lane = phi i64 [ 0, %run ], [ %next, %chunks ]",
        "  %left = sub i64 %lanes, %lane",
        f"  %count = call i64 @llvm.umin.i64(i64 %left, i64 {width})",
    ]
    at = 0
    for k, ((array, _), size) in enumerate(zip(inputs, sizes_in)):
        bytes_ = array.dtype.itemsize
        lines += [
            f"  %first{k} = mul i64 %lane, %stride{k}",
            f"  %source{k} = getelementptr i{8 * bytes_}, ptr %from{k}, i64 %first{k}",
            f"  %stagein{k} = getelementptr i8, ptr %in, i64 {at}",
            f"  call void @{turning.name('lanes_last', 8 * bytes_, len(array.rows))}"
            f"(ptr %source{k}, ptr %stagein{k}, i64 %stride{k}, i64 %count)",
        ]
        at += size
    lines.append(f"  call <{width} x i1> @chunk(ptr %in, ptr %out)")
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
        f"  %next = add i64 %lane, {width}",
        "  %more = icmp ult i64 %next, %lanes",
        "  br i1 %more, label %chunks, label %done",
        "done:",
        "  call void @free(ptr %memory)",
        "  ret ptr null",
        "}",
        "declare ptr @malloc(i64)",
        "declare void @free(ptr)",
    ]
    size = lambda array: (8 * array.dtype.itemsize, len(array.rows))
    lines += [turning.lanes_last(*of, width) for of in sorted({size(array) for array, _ in inputs})]
    lines += [turning.lanes_first(*of, width) for of in sorted({size(array) for array in outputs})]
    return "\n".join(lines)


def load(name: str, kind: str, base: str, offset: int) -> list[str]:
    """Read a field."""
    return [f"  %at.{name} = getelementptr i8, ptr {base}, i64 {offset}", f"  %{name} = load {kind}, ptr %at.{name}"]


def store(kind: str, value: str, base: str, offset: int) -> list[str]:
    """Write a field."""
    place = f"%place.{base.strip('%')}.{offset}"
    return [f"  {place} = getelementptr i8, ptr {base}, i64 {offset}", f"  store {kind} {value}, ptr {place}"]
