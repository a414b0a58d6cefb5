"""The standard normal numbers of `jaxes.noise.gaussian` in float64, drawn by NumPy.

Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Threefry-2x32, 20 rounds), with the
counters of `jax.random`; Giles: "Approximating the erfinv function", GPU Computing Gems 2, 2011 (double precision).
A generation's numbers depend on nothing but the key and its number, so those of many generations are drawn at once.
"""

import numpy as np

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_TOGETHER = 4096  # numbers drawn at once, if a generation has no more

_CENTER = (
    *(-3.6444120640178196996e-21, -1.685059138182016589e-19, 1.2858480715256400167e-18, 1.115787767802518096e-17),
    *(-1.333171662854620906e-16, 2.0972767875968561637e-17, 6.6376381343583238325e-15, -4.0545662729752068639e-14),
    *(-8.1519341976054721522e-14, 2.6335093153082322977e-12, -1.2975133253453532498e-11, -5.4154120542946279317e-11),
    *(1.051212273321532285e-09, -4.1126339803469836976e-09, -2.9070369957882005086e-08, 4.2347877827932403518e-07),
    *(-1.3654692000834678645e-06, -1.3882523362786468719e-05, 0.0001867342080340571352, -0.00074070253416626697512),
    *(-0.0060336708714301490533, 0.24015818242558961693, 1.6536545626831027356),
)
_TAIL = (
    *(2.2137376921775787049e-09, 9.0756561938885390979e-08, -2.7517406297064545428e-07, 1.8239629214389227755e-08),
    *(1.5027403968909827627e-06, -4.013867526981545969e-06, 2.9234449089955446044e-06, 1.2475304481671778723e-05),
    *(-4.7318229009055733981e-05, 6.8284851459573175448e-05, 2.4031110387097893999e-05, -0.0003550375203628474796),
    *(0.00095328937973738049703, -0.0016882755560235047313, 0.0024914420961078508066, -0.0037512085075692412107),
    *(0.005370914553590063617, 1.0052589676941592334, 3.0838856104922207635),
)
_FAR = (
    *(-2.7109920616438573243e-11, -2.5556418169965252055e-10, 1.5076572693500548083e-09, -3.7894654401267369937e-09),
    *(7.6157012080783393804e-09, -1.4960026627149240478e-08, 2.9147953450901080826e-08, -6.7711997758452339498e-08),
    *(2.2900482228026654717e-07, -9.9298272942317002539e-07, 4.5260625972231537039e-06, -1.9681778105531670567e-05),
    *(7.5995277030017761139e-05, -0.00021503011930044477347, -0.00013871931833623122026, 1.0103004648645343977),
    4.8499064014085844221,
)

Key = tuple[int, int]


def key_of(seed: int, run: int) -> Key:
    """The two words of `jax.random.fold_in(jax.random.key(seed), run)`, for a seed below 2**64."""
    return _child((seed >> 32, seed & 0xFFFFFFFF), run)


class Normals:
    """The numbers of one generation after the other.

    >>> Normals(key_of(0, 0), size=4, n=3).of(generation=7).shape
    (4, 3)
    """

    def __init__(self, key: Key, size: int, n: int):
        self._key, self._size, self._n = key, size, n
        self._first, self._numbers = 0, np.empty((0, size, n))

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_first": 0, "_numbers": self._numbers[:0]}  # drawn again when they are needed

    def of(self, generation: int) -> np.ndarray:
        """float64[size, n]."""
        if not 0 <= generation - self._first < len(self._numbers):
            count = max(1, _TOGETHER // (self._size * self._n))
            self._first, self._numbers = generation, self._draw(np.arange(generation, generation + count))
        return self._numbers[generation - self._first]

    def _draw(self, generations: np.ndarray) -> np.ndarray:
        """float64[generations, size, n]."""
        of_generations = _children(self._key, generations)
        of_members = _children([word[:, None] for word in of_generations], np.arange(self._size)[None])
        keys = [word[..., None] for word in of_members]
        return normal(*threefry(keys, (np.uint32(0), np.arange(self._n, dtype=np.uint32))))


def _child(key: Key, number: int) -> Key:
    first, second = _children(key, np.array([number]))
    return int(first[0]), int(second[0])


def _children(key, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two uint32 arrays: the keys that `fold_in` makes of a key and numbers."""
    return threefry(key, (np.uint32(0), numbers.astype(np.uint32)))


def threefry(key, counter) -> tuple[np.ndarray, np.ndarray]:
    """Two words, uint32, of a key's two words and a counter's two words; all are spread over each other's shapes."""
    k0, k1 = (np.asarray(word, np.uint32) for word in key)
    words = (k0, k1, k0 ^ k1 ^ np.uint32(_PARITY))
    shape = np.broadcast_shapes(k0.shape, *(np.shape(x) for x in counter))
    x0, x1 = (np.array(np.broadcast_to(x, shape)) for x in counter)
    x0 += words[0]
    x1 += words[1]
    high = np.empty_like(x1)
    for part in range(5):
        for turn in _ROTATIONS[part % 2]:
            x0 += x1
            np.right_shift(x1, np.uint32(32 - turn), out=high)
            np.left_shift(x1, np.uint32(turn), out=x1)
            x1 |= high
            x1 ^= x0
        x0 += words[(part + 1) % 3]
        x1 += words[(part + 2) % 3] + np.uint32(part + 1)
    return x0, x1


def normal(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """float64: what `jax.random.normal` makes of two words for each number."""
    bits = (high.astype(np.uint64) << np.uint64(32)) | low
    ones = (bits >> np.uint64(12)) | np.uint64(0x3FF0000000000000)
    least = np.nextafter(-1.0, 0.0)
    u = np.maximum((ones.view(np.float64) - 1.0) * (1.0 - least) + least, least)
    return np.sqrt(2) * erf_inv(u)


def erf_inv(u: np.ndarray) -> np.ndarray:
    """The inverse of the error function, for float64 in (-1, 1).

    >>> erf_inv(np.array([0.0, 0.5])).round(6).tolist()
    [0.0, 0.476936]
    """
    w = -np.log1p(-u * u)
    result = _polynomial(_CENTER, w - 3.125)
    if (outside := w >= 6.25).any():
        root = np.sqrt(w[outside])
        result[outside] = np.where(root < 4.0, _polynomial(_TAIL, root - 3.25), _polynomial(_FAR, root - 5.0))
    return result * u


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result
