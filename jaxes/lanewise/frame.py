"""XLA's interface for foreign functions (`xla/ffi/api/c_api.h`) in LLVM's intermediate representation.

A handler's one argument is XLA's call frame, read at the offsets of version 0 of that interface.
"""

import re
from functools import cache
from pathlib import Path

import jax

# Offsets of fields, in bytes: of the call frame,
EXTENSION, INTERFACE, CONTEXT, STAGE, ARGUMENTS, RESULTS = 8, 16, 24, 32, 72, 112
# of the extension by which XLA asks for the version that a handler speaks, and of what is filled in,
KIND, METADATA, MAJOR, MINOR, TRAITS = 8, 24, 24, 28, 32
# and of a buffer.
DATA, RANK, DIMENSIONS = 24, 32, 40
EXECUTE = 3


@cache
def _header() -> str:
    return (Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h").read_text()


@cache
def version() -> tuple[int, int]:
    """The version of the interface that this jaxlib has."""
    number = lambda name: int(re.search(rf"#define {name} (\d+)", _header()).group(1))  # pyrefly: ignore
    return number("XLA_FFI_API_MAJOR"), number("XLA_FFI_API_MINOR")


@cache
def function(name: str) -> int:
    """The offset of one of the functions that the interface points to."""
    return 48 + 8 * re.findall(r"_XLA_FFI_API_STRUCT_FIELD\(XLA_FFI_(\w+)\);", _header()).index(name)


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


def load(name: str, kind: str, base: str, offset: int) -> list[str]:
    """Read a field."""
    return [f"  %at.{name} = getelementptr i8, ptr {base}, i64 {offset}", f"  %{name} = load {kind}, ptr %at.{name}"]


def store(kind: str, value: str, base: str, offset: int) -> list[str]:
    """Write a field."""
    place = f"%place.{base.strip('%')}.{offset}"
    return [f"  {place} = getelementptr i8, ptr {base}, i64 {offset}", f"  store {kind} {value}, ptr {place}"]
