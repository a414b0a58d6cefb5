"""One population on any number of devices and processes, with the same bits."""

from jaxes.blocks import AXIS, Comm
from jaxes.parallel.block_by_block import block_by_block
from jaxes.parallel.processes import Processes, join
from jaxes.parallel.spread import local, mesh, replicated, spread
from jaxes.parallel.strict import is_strict, started, strict
from jaxes.parallel.traffic import Sent, traffic

__all__ = [
    "AXIS",
    "Comm",
    "Processes",
    "Sent",
    "block_by_block",
    "is_strict",
    "join",
    "local",
    "mesh",
    "replicated",
    "spread",
    "started",
    "strict",
    "traffic",
]
