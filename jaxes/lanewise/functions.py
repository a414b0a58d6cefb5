"""Elementary functions of vectors of float32, for processors: short programs of their own.

They are written as functions of JAX and traced like any other. Range reductions and coefficients are those of S. L.
Moshier's Cephes library (single precision), for tanh those of Eigen's rational approximation; errors are below 3 units
in the last place (tests/test_lanewise_functions.py). Where a vector holds a number outside of a function's domain, the
C library is called for all of it, and so it is for all other functions and for float64.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from jaxes.lanewise import threefry
from jaxes.lanewise.llvm import Vectors, library_function, library_name
from jaxes.lanewise.rules import RULES
from jaxes.lanewise.schedule import scheduled
from jaxes.lanewise.table import Table
from jaxes.lanewise.trace import Tracer

PI = np.float32(np.pi)


class Function(NamedTuple):
    compute: Callable[..., Any]
    domain: Callable[..., Any] | None = None  # where it holds; everywhere if None


class Defined(NamedTuple):
    """The source of functions, and what it declares."""

    bodies: list[str]
    declared: set[str]


def _polynomial(x, *coefficients):
    """From the highest power down."""
    out = jnp.float32(coefficients[0])
    for c in coefficients[1:]:
        out = out * x + jnp.float32(c)
    return out


def _power_of_two(n):
    """2**n for whole numbers from -126 to 127, by its bits."""
    return lax.bitcast_convert_type((n.astype(jnp.int32) + 127) << 23, jnp.float32)


def exp(x):
    n = lax.round(jnp.clip(x, -104, 89) * jnp.float32(np.log2(np.e)), lax.RoundingMethod.TO_NEAREST_EVEN)
    r = x - n * jnp.float32(0.693359375)
    r = r - n * jnp.float32(-2.12194440e-4)
    p = _polynomial(r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
    half = jnp.floor(n * jnp.float32(0.5))
    out = (p * r * r + r + 1) * _power_of_two(half) * _power_of_two(n - half)
    out = jnp.where(x > jnp.float32(88.72284), jnp.inf, jnp.where(x < jnp.float32(-103.97208), 0, out))
    return jnp.where(x != x, x, out)


def log(x):
    small = x < jnp.float32(np.finfo(np.float32).tiny)
    bits = lax.bitcast_convert_type(jnp.where(small, x * jnp.float32(2**23), x), jnp.int32)
    m = lax.bitcast_convert_type((bits & 0x007FFFFF) | 0x3F000000, jnp.float32)  # in [0.5, 1)
    e = (bits >> 23) - 126 - jnp.where(small, 23, 0)
    below = m < jnp.float32(np.sqrt(0.5))
    e = (e - below.astype(jnp.int32)).astype(jnp.float32)
    z = jnp.where(below, m + m, m) - 1
    p = _polynomial(
        z,
        *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
        *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
    )
    y = p * z * z * z + e * jnp.float32(-2.12194440e-4) - jnp.float32(0.5) * z * z
    out = z + y + e * jnp.float32(0.693359375)
    out = jnp.where(x == 0, -jnp.inf, jnp.where(x < 0, jnp.nan, out))
    return jnp.where(x < jnp.inf, out, x)


def _quarter_turns(x):
    """The number of quarter turns in x, and what is left, in [-pi/4, pi/4]."""
    n = lax.round(x * jnp.float32(2 / np.pi), lax.RoundingMethod.TO_NEAREST_EVEN)
    r = x - n * jnp.float32(1.5703125)
    r = r - n * jnp.float32(4.837512969970703125e-4)
    return n.astype(jnp.int32), r - n * jnp.float32(7.549789948768648e-8)


def _sine(r):
    z = r * r
    return _polynomial(z, -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1) * z * r + r


def _cosine(r):
    z = r * r
    p = _polynomial(z, 2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
    return p * z * z - jnp.float32(0.5) * z + 1


def sin(x):
    n, r = _quarter_turns(x)
    y = jnp.where(n & 1 == 0, _sine(r), _cosine(r))
    return jnp.where(n & 2 == 0, y, -y)


def cos(x):
    n, r = _quarter_turns(x)
    y = jnp.where(n & 1 == 0, _cosine(r), _sine(r))
    return jnp.where((n + 1) & 2 == 0, y, -y)


def tan(x):
    n, r = _quarter_turns(x)
    s, c = _sine(r), _cosine(r)
    return jnp.where(n & 1 == 0, s / c, -c / s)


def _within(limit):
    return lambda x: jnp.abs(x) < limit


def tanh(x):
    y = jnp.clip(x, jnp.float32(-7.90531110763549805), jnp.float32(7.90531110763549805))
    z = y * y
    p = _polynomial(
        z,
        *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
        *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
    )
    q = _polynomial(z, 1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
    out = jnp.where(jnp.abs(x) < jnp.float32(0.0004), x, y * p / q)
    return jnp.where(x > 9, jnp.float32(1), jnp.where(x < -9, jnp.float32(-1), out))


def atan(x):
    a = jnp.abs(x)
    far, near = a > jnp.float32(2.414213562373095), a > jnp.float32(0.4142135623730950)
    r = jnp.where(far, -1 / a, jnp.where(near, (a - 1) / (a + 1), a))
    start = jnp.where(far, PI / 2, jnp.where(near, PI / 4, jnp.float32(0)))
    z = r * r
    p = _polynomial(z, 8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)
    y = start + (p * z * r + r)
    return jnp.where(x < 0, -y, y)


def atan2(y, x):
    a = atan(y / x)
    return jnp.where(x > 0, a, jnp.where(y < 0, a - PI, a + PI))


def _plain(y, x):
    """Where y / x says it all: both are finite and neither is 0, and the quotient is neither."""
    size = jnp.abs(y / x)
    return (size < jnp.inf) & (size > 0) & (jnp.abs(x) < jnp.inf)


def _small_arc_sine(r):
    z = r * r
    p = _polynomial(z, 4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1)
    return p * z * r + r


def asin(x):
    a = jnp.abs(x)
    big = a > jnp.float32(0.5)
    y = _small_arc_sine(jnp.where(big, jnp.sqrt(jnp.float32(0.5) * (1 - a)), a))
    y = jnp.where(big, PI / 2 - 2 * y, y)
    return jnp.where(x < 0, -y, y)


def acos(x):
    a = jnp.abs(x)
    big = a > jnp.float32(0.5)
    y = _small_arc_sine(jnp.where(big, jnp.sqrt(jnp.float32(0.5) * (1 - a)), x))
    return jnp.where(big, jnp.where(x < 0, PI - 2 * y, 2 * y), PI / 2 - y)


FUNCTIONS: dict[str, Function] = {
    "exp": Function(exp),
    "log": Function(log),
    "sin": Function(sin, _within(8192)),
    "cos": Function(cos, _within(8192)),
    "tan": Function(tan, _within(8192)),
    "tanh": Function(tanh),
    "atan": Function(atan),
    "atan2": Function(atan2, _plain),
    "asin": Function(asin),
    "acos": Function(acos),
}
NAMES = {(operation, "float"): f"vector_{operation}" for operation in FUNCTIONS}


def defined(used: set[tuple[str, str]], width: int) -> Defined:
    """The source of the functions that some code calls, by operation and type."""
    bodies, declared, library = [], set(), set()
    for operation, kind in sorted(used):
        if operation == "threefry":
            bodies.append(_threefry(width))
        elif (operation, kind) in NAMES:
            body, its_declared = _source(operation, width)
            bodies.append(body)
            declared |= its_declared
            if FUNCTIONS[operation].domain is not None:
                library.add((operation, kind))
        else:
            library.add((operation, kind))
    return Defined([*bodies, *(library_function(o, k, width) for o, k in sorted(library))], declared)


@cache
def _source(operation: str, width: int) -> tuple[str, frozenset[str]]:
    function = FUNCTIONS[operation]
    count = 2 if operation == "atan2" else 1
    vector, names = f"<{width} x float>", [f"%x{i}" for i in range(count)]
    head = ", ".join(f"{vector} {name}" for name in names)
    lines = [f"define internal {vector} @{NAMES[operation, 'float']}({head}) noinline {{", "entry:"]
    out, body, declared = _instructions(function.compute, names, width, "f")
    lines += body
    if function.domain is None:
        return "\n".join([*lines, f"  ret {vector} {out}", "}"]), frozenset(declared)
    # Lanes do not depend on each other: the library's value is taken only where it is needed.
    inside, body, more = _instructions(function.domain, names, width, "d")
    mask, every = f"<{width} x i1>", f"@llvm.vector.reduce.and.v{width}i1"
    lines += [
        *body,
        f"  %all = call i1 {every}({mask} {inside})",
        "  br i1 %all, label %fast, label %slow",
        "fast:",
        f"  ret {vector} {out}",
        "slow:",
        f"  %called = call {vector} @{library_name(operation, 'float')}({head})",
        f"  %chosen = select {mask} {inside}, {vector} {out}, {vector} %called",
        f"  ret {vector} %chosen",
        "}",
    ]
    return "\n".join(lines), frozenset(declared | more | {f"declare i1 {every}({mask})"})


@cache
def _threefry(width: int) -> str:
    table = Table()
    given = [table.input(threefry.WORD, 0) for _ in range(4)]
    words = threefry.written_out(table, threefry.Words(*given[:2]), threefry.Words(*given[2:]))
    emitter = Vectors(table, width, {})
    emitter.names.update(zip(given, ("%k0", "%k1", "%x0", "%x1")))
    emitter.items(scheduled(table, words, given))
    vector = emitter.vector(threefry.WORD)
    pair = f"{{ {vector}, {vector} }}"
    first, second = map(emitter.name, words)
    head = (
        f"define internal {pair} @threefry({', '.join(f'{vector} {emitter.names[row]}' for row in given)}) noinline {{"
    )
    half = f"  %half = insertvalue {pair} poison, {vector} {first}, 0"
    whole = f"  %whole = insertvalue {pair} %half, {vector} {second}, 1"
    return "\n".join([head, *emitter.lines, half, whole, f"  ret {pair} %whole", "}"])


def _instructions(function: Callable[..., Any], names: list[str], width: int, prefix: str):
    """The result's name, the instructions, and what they declare."""
    closed = jax.make_jaxpr(function)(*[jax.ShapeDtypeStruct((), np.float32)] * len(names))
    tracer = Tracer(False, "cpu", RULES)
    program = tracer.program(closed)
    emitter = Vectors(program.table, width, {}, prefix)
    given = [int(value.reshape(-1)[0]) for value in program.inputs if isinstance(value, np.ndarray)]
    (out,) = (int(value.reshape(-1)[0]) for value in program.outputs if isinstance(value, np.ndarray))
    emitter.names.update(zip(given, names))
    emitter.items(scheduled(program.table, [out], given))
    return emitter.name(out), emitter.lines, emitter.declared
