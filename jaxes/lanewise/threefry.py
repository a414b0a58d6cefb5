"""Threefry-2x32 with 20 rounds (Salmon et al. 2011), the generator of JAX's default keys.

Its some hundred operations are two rows of a table, "threefry0" and "threefry1", which call one function: what draws a
hundred numbers then stays short. Where all words are known, and where there is no such function, they are written out.
"""

from typing import NamedTuple

import numpy as np

from jaxes.lanewise.table import Table

WORD = np.dtype("uint32")
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


class Words(NamedTuple):
    """Rows of two words."""

    first: int
    second: int


def called(table: Table, key: Words, counts: Words) -> Words:
    """The two words that a key makes of two, by the function; written out where all of them are known.

    >>> table = Table()
    >>> word = lambda value: table.constant(value, WORD)
    >>> out = called(table, Words(word(0x13198A2E), word(0x03707344)), Words(word(0x243F6A88), word(0x85A308D3)))
    >>> [hex(table.values[row]) for row in out]  # the known answer of Random123
    ['0xc4923a9c', '0x483df7a0']
    """
    operands = (*key, *counts)
    if all(table.values[row] is not None for row in operands):
        return written_out(table, key, counts)
    return Words(table.row("threefry0", *operands), table.row("threefry1", *operands))


def written_out(table: Table, key: Words, counts: Words) -> Words:
    """The same, operation by operation."""
    row, constant = table.row, lambda value: table.constant(value, WORD)
    keys = (*key, row("xor", row("xor", *key), constant(PARITY)))
    x, y = row("add", counts.first, keys[0]), row("add", counts.second, keys[1])
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x = row("add", x, y)
            y = row("xor", x, row("or", row("shl", y, constant(r)), row("srl", y, constant(32 - r))))
        x = row("add", x, keys[(group + 1) % 3])
        y = row("add", row("add", y, keys[(group + 2) % 3]), constant(group + 1))
    return Words(x, y)
