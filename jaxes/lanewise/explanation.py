"""What became of a function."""

from collections import Counter
from typing import NamedTuple

from jaxes.lanewise.trace import Opaque, Program


class Carried(NamedTuple):
    """A loop: how many turns (None where that is not known), and how many elements it carries."""

    length: int | None
    before: int
    after: int


class Explanation(NamedTuple):
    """What became of a function of one lane. `print` shows it.

    Attributes:
        before: operations on single elements that the function does as it is written, all turns of its loops.
        after: those that are left, one vector of lanes each.
        fallbacks: operations that are done by `vmap`, and why.
        loops: what they carry.
        whole: why the whole function is done by `vmap`; None where it is not.
    """

    before: int
    after: int
    fallbacks: tuple[tuple[str, str], ...]
    loops: tuple[Carried, ...]
    whole: str | None = None

    def __str__(self) -> str:
        if self.whole is not None:
            return f"all by vmap: {self.whole}"
        lines = [f"{self.before:,} operations became {self.after:,}"]
        for loop in self.loops:
            turns = "loop while a condition holds" if loop.length is None else f"loop of {loop.length:,} turns"
            lines.append(f"{turns}: carries {loop.after:,} of {loop.before:,} elements")
        for (name, reason), count in Counter(self.fallbacks).items():
            times = f" ({count} times)" if count > 1 else ""
            lines.append(f"by vmap: {name}{times}, because of {reason}")
        return "\n".join(lines)


def left(program: Program) -> Counter[str]:
    """How often each operation is done for a lane."""
    table = program.table
    read = [*program.outputs, *(value for fallback in program.fallbacks for value in fallback.inputs)]
    needed = table.needed(int(row) for value in read if not isinstance(value, Opaque) for row in value.flat)
    turns = table.turns()
    out: Counter[str] = Counter()
    for row in needed:
        if table.operations[row] not in ("input", "constant", "carried", "result", "loop", "product"):
            out[table.operations[row]] += turns[table.regions[row]]
    return out


def explained(program: Program) -> Explanation:
    """The explanation of a program."""
    fallbacks = tuple((f.eqn.primitive.name, f.reason) for f in program.fallbacks)
    return Explanation(program.before, left(program).total(), fallbacks, tuple(Carried(*x) for x in program.loops))
