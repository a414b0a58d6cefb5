"""Files in the IDX format, in which MNIST comes."""

import gzip
import math
from pathlib import Path

import numpy as np

_KINDS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file: two zero bytes, the kind of numbers, the axes, their sizes (big-endian), the numbers.

    Args:
        path: of the file, which may be gzipped.

    Raises:
        ValueError: if it is no such file, or cut short.
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _KINDS:
        raise ValueError(f"{path} is not in the IDX format: it begins with {content[:4]!r}")
    kind, axes = np.dtype(_KINDS[content[2]]), content[3]
    shape = tuple(np.frombuffer(content[4 : 4 + 4 * axes], ">u4").tolist())
    wanted = 4 + 4 * axes + kind.itemsize * math.prod(shape)
    if len(shape) != axes or len(content) != wanted:
        raise ValueError(f"{path} must have {wanted} bytes for shape {shape}, got {len(content)}")
    return np.frombuffer(content, kind, offset=4 + 4 * axes).reshape(shape).astype(kind.newbyteorder("="))
