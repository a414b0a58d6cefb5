"""Random keys: arrays of JAX's default keys are arrays of words, with one axis more.

What JAX does with a key it writes down itself, on words, in the functions of its generator; these are traced, so that
the bits are those of JAX whatever its version and settings. Keys of other generators stay arrays.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
from jax.extend.random import threefry_prng_impl

from jaxes.lanewise import threefry
from jaxes.lanewise.trace import Rule, Tracer, is_key

Rows = np.ndarray
WORDS = jax.ShapeDtypeStruct(threefry_prng_impl.key_shape, np.uint32)


def traced(function, *shapes: Any) -> Any:
    """The jaxpr of a function of words."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return jax.make_jaxpr(function)(*shapes)


def split(tracer: Tracer, eqn: Any, keys: Rows) -> Rows:
    closed = traced(partial(threefry_prng_impl.split, shape=eqn.params["shape"]), WORDS)
    return _for_each(tracer, closed, eqn, keys)


def random_bits(tracer: Tracer, eqn: Any, keys: Rows) -> Rows:
    p = eqn.params
    function = partial(threefry_prng_impl.random_bits, bit_width=p["bit_width"], shape=p["shape"])
    return _for_each(tracer, traced(function, WORDS), eqn, keys)


def fold_in(tracer: Tracer, eqn: Any, keys: Rows, data: Rows) -> Rows:
    scalar = jax.ShapeDtypeStruct((), eqn.invars[1].aval.dtype)
    closed = traced(threefry_prng_impl.fold_in, WORDS, scalar)
    shape = np.broadcast_shapes(keys.shape[:-1], data.shape)
    keys, data = np.broadcast_to(keys, (*shape, 2)), np.broadcast_to(data, shape)
    return _for_each(tracer, closed, eqn, keys, data)


def seed(tracer: Tracer, eqn: Any, seeds: Rows) -> Rows:
    closed = traced(threefry_prng_impl.seed, jax.ShapeDtypeStruct((), eqn.invars[0].aval.dtype))
    outs = [tracer.inner(closed, [np.asarray(row)])[0] for row in seeds.reshape(-1)]
    return np.stack(outs).reshape(*seeds.shape, 2) if outs else np.zeros((*seeds.shape, 2), np.int64)


def _for_each(tracer: Tracer, closed: Any, eqn: Any, keys: Rows, *more: Rows) -> Rows:
    """A function of one key, for every key of an array."""
    aval = eqn.outvars[0].aval
    shape = (*aval.shape, 2) if is_key(aval.dtype) else aval.shape
    columns = zip(keys.reshape(-1, 2), *(x.reshape(-1) for x in more))
    outs = [tracer.inner(closed, [np.asarray(x) for x in column])[0] for column in columns]
    return np.stack(outs).reshape(shape) if outs else np.zeros(shape, np.int64)


def counts(tracer: Tracer, eqn: Any) -> list[Rows]:
    """The numbers of an array's elements, as two words each."""
    shape = eqn.params["shape"]
    numbers = np.arange(int(np.prod(shape)), dtype=np.uint64).reshape(shape)
    words = (numbers >> np.uint64(32), numbers & np.uint64(0xFFFFFFFF))
    return [tracer.table.constants(word.astype(np.uint32)) for word in words]


def threefry2x32(tracer: Tracer, eqn: Any, *operands: Rows) -> list[Rows]:
    way = threefry.called if tracer.platform == "cpu" else threefry.written_out
    arrays = np.broadcast_arrays(*operands)
    columns = zip(*(a.reshape(-1).tolist() for a in arrays))
    outs = [way(tracer.table, threefry.Words(k, l), threefry.Words(x, y)) for k, l, x, y in columns]
    return [np.array(rows, np.int64).reshape(arrays[0].shape) for rows in (zip(*outs) if outs else ([], []))]


def unchanged(tracer: Tracer, eqn: Any, x: Rows) -> Rows:
    """Words as a key, a key as words, and a key that may be used again."""
    return x


RULES: dict[str, Rule] = {
    "random_seed": seed,
    "random_split": split,
    "random_bits": random_bits,
    "random_fold_in": fold_in,
    "random_wrap": unchanged,
    "random_unwrap": unchanged,
    "random_clone": unchanged,
    "iota_2x32_shape": counts,
    "threefry2x32": threefry2x32,
}
