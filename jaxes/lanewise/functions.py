"""Elementary functions of vectors."""

from typing import NamedTuple

from jaxes.lanewise.llvm import library_function


class Called(NamedTuple):
    bodies: list[str]
    declared: set[str]


def sources(width: int):
    def defined(used):
        return Called([library_function(o, k, width) for o, k in sorted(used)], set())

    return {}, defined
