"""Kinds of perturbations by their names."""

from collections.abc import Callable
from typing import Any

from jaxes.noise.dense import gaussian, rademacher
from jaxes.noise.kind import Noise
from jaxes.noise.low_rank import low_rank
from jaxes.noise.orthogonal import orthogonal
from jaxes.noise.table import table
from jaxes.support.memoized import given

NOISES: dict[str, Callable[[], Noise]] = {
    make.__name__: make for make in (gaussian, rademacher, low_rank, table, orthogonal)
}


def noise_of(noise: Any) -> Noise:
    """The kind of noise that is meant.

    Args:
        noise: a `Noise`, the name of one in `NOISES`, a factory such as `low_rank`, or None for `gaussian()`.

    Returns:
        What draws samples with leaves [k, *leaf.shape].

    >>> noise_of("low_rank") is low_rank()
    True
    """
    return given("noise", noise, NOISES, gaussian, lambda x: isinstance(x, Noise))
