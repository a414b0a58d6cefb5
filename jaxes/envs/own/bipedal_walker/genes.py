"""The genes of a ground for the bipedal walker: how rough it is, and which obstacles stand on it.

Wang et al.: "Paired Open-Ended Trailblazer (POET)", 2019, arXiv:1901.01753. Units and limits are those of its code.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxes.support import checks

Number = float | jax.Array


class Range(NamedTuple):
    """What is drawn anew for each obstacle, from `low` to `high`."""

    low: Number  # float32[]
    high: Number  # float32[]


class Genes(NamedTuple):
    """A kind of ground. Lengths are in steps, of which each is 14/30 m. All numbers may be traced.

    Pits, stumps and stairs occur if the upper end of `gap`, `stump_height` or `stair_height` is above 0, the kinds that
    do equally often. As they stand here, the genes are of even ground; with roughness 1 it is gymnasium's grass.
    """

    roughness: Number = 0.0  # float32[]: how many times as steep as gymnasium's the grass is
    gap: Range = Range(0.0, 0.0)  # width of a pit, which is 4 steps deep
    stump_height: Range = Range(0.0, 0.0)
    stump_width: Range = Range(1.0, 2.0)  # of which the whole part counts: 1
    stair_height: Range = Range(0.0, 0.0)  # of one stair
    stair_steps: Range = Range(1.0, 2.0)  # how many stairs; the whole part counts: 1
    stair_width: Range = Range(4.0, 5.0)  # of one stair; the whole part counts: 4

    @classmethod
    def of(cls, value: Any) -> "Genes":
        """Genes from what a person writes, checked.

        Args:
            value: genes, a mapping from names of genes to a number (`roughness`) or a pair of numbers (all others), the
                same as text in JSON, or the path of a JSON file. Genes that are left out are those of even ground.

        Raises:
            ValueError: for a name that is no gene, a value that `check` does not take, or text that is no JSON object.
            TypeError: for a value that is no number.
            OSError: if there is no such file.

        >>> Genes.of('{"roughness": 2, "gap": [0, 0.8]}').gap
        Range(low=0, high=0.8)
        """
        if isinstance(value, cls):
            return check(value)
        values = _read(value) if isinstance(value, str | Path) else value
        if not isinstance(values, Mapping):
            raise ValueError(f"genes must be Genes, a mapping of their names, or a JSON object, got {values!r}")
        for name in values:
            checks.choice("gene", name, cls._fields)
        ranges = {name: _range(name, value) for name, value in values.items() if name != "roughness"}
        return check(cls(values.get("roughness", 0.0), **ranges))

    def as_dict(self) -> dict[str, Any]:
        """The genes as numbers and lists of Python's, for `json.dump`; `Genes.of` reads them again.

        >>> Genes(roughness=1.0).as_dict()["stump_width"]
        [1.0, 2.0]
        """
        return {name: list(map(float, x)) if isinstance(x, tuple) else float(x) for name, x in zip(self._fields, self)}


LIMITS: dict[str, Range] = {
    "roughness": Range(0.0, 10.0),
    "gap": Range(0.0, 8.0),
    "stump_height": Range(0.0, 5.0),
    "stump_width": Range(1.0, 10.0),
    "stair_height": Range(0.0, 5.0),
    "stair_steps": Range(1.0, 9.0),
    "stair_width": Range(1.0, 10.0),
}
"""What each gene may be, and each of its ends."""


def check(genes: Genes) -> Genes:
    """Return `genes` if all of their numbers are in their `LIMITS`; what is traced passes.

    Raises:
        ValueError: if a number is not, is NaN, or is below the low end that belongs to it; the message names the gene.
        TypeError: if a value is no number.

    >>> check(Genes(gap=Range(0.0, 9.0)))
    Traceback (most recent call last):
        ...
    ValueError: genes.gap.high must be from 0 to 8, got 9
    """
    for name, value in zip(genes._fields, genes, strict=True):
        limit = LIMITS[name]
        if name == "roughness":
            _inside("genes.roughness", value, limit)
            continue
        low, high = _range(name, value)
        _inside(f"genes.{name}.low", low, limit)
        _inside(f"genes.{name}.high", high, limit)
        if not any(isinstance(end, jax.core.Tracer) for end in (low, high)) and float(low) > float(high):
            raise ValueError(
                f"genes.{name} must have its low end at or below its high end, got {float(low):g} and {float(high):g}"
            )
    return genes


def _range(name: str, value: Any) -> Range:
    if isinstance(value, str | Mapping) or not hasattr(value, "__len__") or len(value) != 2:
        raise ValueError(f"genes.{name} must be a pair of numbers, the low and the high end, got {value!r}")
    return Range(*value)


def _inside(name: str, value: Any, limit: Range) -> None:
    """Raise unless the number is in its limits."""
    value = checks.scalar(name, value)
    if not isinstance(value, jax.core.Tracer) and not float(limit.low) <= float(value) <= float(limit.high):
        raise ValueError(f"{name} must be from {limit.low:g} to {limit.high:g}, got {float(value):g}")


def _read(value: str | Path) -> Any:
    """What a JSON text, or else the file at a path, holds."""
    text = value if isinstance(value, str) and value.lstrip().startswith("{") else Path(value).read_text()
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = "" if text is value else f" in {value}"
        raise ValueError(f'genes must be a JSON object such as {{"roughness": 1}}{place}: {error}') from None
