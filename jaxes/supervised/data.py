"""Small sets of examples to learn from, some of which are held out."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.supervised.idx import read_idx
from jaxes.support import checks, extras


class Data(NamedTuple):
    """Examples to learn from, and others that are held out."""

    inputs: Any  # [examples, ...]
    targets: Any  # [examples, ...]
    test_inputs: Any  # [other examples, ...]: held out
    test_targets: Any  # [other examples, ...]

    def standardize(self, inputs: jax.Array) -> jax.Array:
        """Shift and scale inputs to float32, such that all training inputs have mean 0 and standard deviation 1."""
        mean, spread = np.mean(self.inputs, dtype=np.float64), np.std(self.inputs, dtype=np.float64)
        return (inputs.astype(jnp.float32) - np.float32(mean)) * np.float32(1 / spread)


def digits(test_share: float = 0.2, seed: int = 0) -> Data:
    """The 1,797 handwritten digits of scikit-learn: uint8[examples, 8, 8, 1] from 0 to 16, and int32 labels.

    Args:
        test_share: the part of the examples that is held out, in (0, 1).
        seed: decides which ones are.

    Raises:
        ImportError: if scikit-learn is missing; the message says what to install.

    >>> from jaxes import supervised
    >>> data = supervised.digits(test_share=0.2)
    >>> data.inputs.shape, data.test_targets.shape
    ((1438, 8, 8, 1), (359,))
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be a number in (0, 1), got {test_share!r}")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise extras.missing("scikit-learn", "supervised", error) from None
    known: Any = load_digits()
    images, labels = known.images[..., None].astype(np.uint8), known.target.astype(np.int32)
    order = np.random.RandomState(seed).permutation(len(labels))
    test, train = np.split(order, [max(1, round(test_share * len(labels)))])
    return Data(images[train], labels[train], images[test], labels[test])


def mnist(folder: str | Path) -> Data:
    """MNIST from the four files in which it comes: uint8[examples, 28, 28, 1], and int32 labels.

    Args:
        folder: holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the two files that begin with t10k, gzipped
            or not. Fashion-MNIST and others come in files of the same names.

    Raises:
        FileNotFoundError: if files are missing; the message names them.
        ValueError: if a file does not hold what its name says.

    >>> data = jaxes.supervised.mnist("mnist")  # doctest: +SKIP
    >>> data.inputs.shape  # doctest: +SKIP
    (60000, 28, 28, 1)
    """
    names = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    found = {name: _find(Path(folder), name) for name in names}
    if missing := [name for name, path in found.items() if path is None]:
        raise FileNotFoundError(f"{folder} holds no MNIST: {', '.join(missing)} (or with .gz) must be in it")
    images, labels, test_images, test_labels = (read_idx(path) for path in found.values() if path is not None)
    for some, their in ((images, labels), (test_images, test_labels)):
        if some.ndim != 3 or their.shape != some.shape[:1]:
            raise ValueError(
                f"{folder} must hold images [examples, height, width] and a label for each, got {some.shape} and "
                f"{their.shape}"
            )
    picture, label = lambda x: x[..., None], lambda x: x.astype(np.int32)
    return Data(picture(images), label(labels), picture(test_images), label(test_labels))


def sine(examples: int = 256, seed: int = 0) -> Data:
    """One period of the sine: inputs float32[examples, 1], uniform in [-pi, pi], and their sines as targets.

    Args:
        examples: how many there are to learn from; as many are held out.
        seed: of the inputs.

    >>> from jaxes import supervised
    >>> supervised.sine(8).targets.shape
    (8, 1)
    """
    checks.count("examples", examples)
    x = np.random.RandomState(seed).uniform(-np.pi, np.pi, (2, examples, 1)).astype(np.float32)
    return Data(x[0], np.sin(x[0]), x[1], np.sin(x[1]))


def _find(folder: Path, name: str) -> Path | None:
    """The file of this name, which today may have a dot or a dash before idx, and be gzipped or not."""
    names = [stem + suffix for stem in (name, name.replace("-idx", ".idx")) for suffix in ("", ".gz")]
    return next((folder / one for one in names if (folder / one).is_file()), None)
