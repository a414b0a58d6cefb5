"""Files in the IDX format, in which MNIST comes."""

import gzip
import math
from pathlib import Path

import numpy as np

_KINDS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file (http://yann.lecun.com/exdb/mnist).

    Such a file holds two zero bytes, a byte for the kind of numbers, one for how many axes there are, the sizes of the
    axes (big-endian), and the numbers.

    Args:
        path: of the file, which may be gzipped.

    Returns:
        An array of the shape and the kind of numbers that the file states.

    Raises:
        ValueError: if the file is of another kind, or cut short.

    >>> import pathlib, tempfile
    >>> from jaxes import supervised
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "three-bytes"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 10, 20, 30]))
    ...     supervised.read_idx(path).tolist()
    [10, 20, 30]
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
