"""Perturbations: sample many, apply one to parameters, add many up.

Every kind is one `Noise`, so every gradient-type strategy works with each of them. Members that `low_rank` makes are
trees of factors, which `jaxes.vmap` runs. A perturbation is a function of the generation's key and of its unit's id
alone; a unit is an antithetic pair, or a member where there are no pairs.

>>> import jax, jax.numpy as jnp
>>> params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
>>> noise = gaussian()
>>> z = noise.sample(jax.random.key(0), jnp.arange(4), params)
>>> z["w"].shape
(4, 3, 2)
"""

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.blocks import Block
from jaxes.lowrank.leaf import LowRank, is_low_rank, rounded, weighted_products
from jaxes.lowrank.plan import Entry, Plan, planned
from jaxes.lowrank.population import with_matrix
from jaxes.support import checks, keys, trees
from jaxes.support.keys import Stream
from jaxes.support.memoized import given, memoized, pickled

_TOGETHER = 2**16


class Noise(NamedTuple):
    """One kind of perturbation `z` with `E[z] = 0`."""

    sample: Callable[[jax.Array, Any, Any], Any]
    """`sample(key, units, like) -> z`: units are a `Block` or int[k]; leaves [k, *leaf.shape] of like's dtypes"""
    perturb: Callable[[Any, Any, Any], Any]
    """`perturb(params, scale, z_of_one) -> member`: params + scale * z, with scale float[]"""
    combine: Callable[[jax.Array, Any], Any]
    """`combine(weights, z) -> tree like params`: the sum of weights (float[k]) times z. It is scaled so that a sum with
    weights linear in z is unbiased: as if `E[z z^T]` were the identity"""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the factory was given, where a factory made it."""
        return pickled(self)


@memoized
def gaussian() -> Noise:
    """Independent standard normal numbers, an array like each parameter.

    >>> z = gaussian().sample(jax.random.key(0), jnp.arange(4), {"w": jnp.zeros((3, 2))})
    >>> z["w"].shape, z["w"].dtype
    ((4, 3, 2), dtype('float32'))
    """
    return _dense(_normal)


@memoized
def rademacher() -> Noise:
    """Independent signs, +1 or -1, an array like each parameter.

    Signs are cheaper to draw than normal numbers, exact in low precision, and estimate with no higher variance.

    >>> z = rademacher().sample(jax.random.key(0), jnp.arange(4), jnp.zeros(3))
    >>> bool((abs(z) == 1).all())
    True
    """
    return _dense(lambda key, shape, dtype: jax.random.rademacher(key, shape, dtype))


@memoized
def low_rank(
    rank: int = 1, distribution: str = "rademacher", plan: Plan | None = None, weights: str = "float"
) -> Noise:
    """Matrices of low rank, `A B^T / sqrt(rank)`, and dense numbers for parameters that are no matrix.

    From Sarkar et al. 2025, "Evolution Strategies at the Hyperscale", section 4. Members keep their factors:
    `jaxes.vmap(apply)(population, x)` runs any model on all members at about the cost of running it on one, rollouts
    and `jaxes.problem` do so by themselves, and `jaxes.materialize(population)` gives the dense equivalent.
    Convolutions gain nothing on CPUs, where a separate kernel for each member is slow even with one channel.

    Args:
        rank: the rank of each matrix; a matrix with fewer rows or columns gets as many as it has.
        distribution: what the factors are drawn from: "rademacher", signs, which are far cheaper to draw, exact in low
            precision, and of no higher variance at rank 1; or "normal".
        plan: which parameters are matrices, and along which axes: `jaxes.lowrank.plan(apply, params, x)`. By default
            every parameter of two or more axes is a matrix, whose columns are the last axis.
        weights: "float": members share the matrices as they are; "int8": they share matrices that are rounded to
            multiples of a unit, one unit per matrix, which take a quarter of the bytes; products are summed in
            float32. The parameters that are learned stay float.

    >>> import jax, jax.numpy as jnp
    >>> params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    >>> z = low_rank(rank=2).sample(jax.random.key(0), jnp.arange(4), params)
    >>> z["w"].a.shape, z["w"].b.shape, z["b"].shape
    ((4, 2, 3), (4, 2, 2), (4, 2))
    """
    checks.count("rank", rank)
    draw = {"rademacher": _signs, "normal": _normal}[
        checks.choice("distribution", distribution, ("rademacher", "normal"))
    ]
    matrix = {"float": lambda w: w, "int8": rounded}[checks.choice("weights", weights, ("float", "int8"))]
    factors = jnp.int8 if distribution == "rademacher" else None  # a quarter of what is read

    def sample(key, units, like):
        leaves, tree = jax.tree.flatten(like)
        entries = planned(plan, like)
        parts = [_parts(x, entry, rank) for x, entry in zip(leaves, entries, strict=True)]
        dtypes = sorted({x.dtype for x in leaves}, key=str)

        def one(unit_key):
            numbers: list[list[jax.Array]] = [[] for _ in leaves]
            for i, dtype in enumerate(dtypes):
                wanted = [(k, shape) for k, x in enumerate(leaves) if x.dtype == dtype for shape in parts[k]]
                sizes = [math.prod(shape) for _, shape in wanted]
                own = unit_key if len(dtypes) == 1 else jax.random.fold_in(unit_key, i)
                flat = jnp.split(draw(own, (sum(sizes),), dtype), np.cumsum(sizes)[:-1].tolist())
                for (k, shape), part in zip(wanted, flat, strict=True):
                    part = part if entries[k].split is None else part.astype(factors or dtype)
                    numbers[k].append(part.reshape(shape))
            return tree.unflatten([_factors(*row) for row in zip(leaves, entries, numbers, strict=True)])

        return jax.vmap(one)(keys.of_each(key, _ids(units)))

    def perturb(params, scale, z):
        def one(w, x):
            if not is_low_rank(x):
                return w + jnp.asarray(scale).astype(w.dtype) * x
            size = jnp.asarray(scale).astype(x.scale.dtype) * x.scale
            return with_matrix(replace(x, scale=size, like=w.dtype), matrix(w))

        return jax.tree.map(one, params, z)

    def combine(weights, z):
        one = lambda x: weighted_products(weights, x) if is_low_rank(x) else _weighted_sum(weights, x)
        return jax.tree.map(one, z, is_leaf=is_low_rank)

    return Noise(sample, perturb, combine)


def _parts(leaf: Any, entry: Entry, rank: int) -> list[tuple[int, ...]]:
    """The shapes of what is drawn for a parameter."""
    if entry.split is None:
        return [tuple(leaf.shape)]
    stack, left = entry.split
    lead = (*leaf.shape[:stack], entry.ranks(rank))
    return [(*lead, *leaf.shape[stack : stack + left]), (*lead, *leaf.shape[stack + left :])]


def _factors(leaf: Any, entry: Entry, numbers: list[jax.Array]) -> Any:
    if entry.split is None:
        return numbers[0]
    a, b = numbers
    scale = jnp.asarray(a.shape[entry.split.stack] ** -0.5, trees.number_dtype(leaf))
    return LowRank(None, a, b, scale, *entry.split, like=leaf.dtype, name=entry.name)


def _signs(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Rademacher numbers, 32 from each word of random bits."""
    count = math.prod(shape)
    words = jax.random.bits(key, (-(-count // 32), 1), jnp.uint32)
    bits = lax.shift_right_logical(*jnp.broadcast_arrays(words, jnp.arange(32, dtype=jnp.uint32)[None]))
    return (1 - 2 * (bits & 1).astype(jnp.int32)).astype(dtype).reshape(-1)[:count].reshape(shape)


@memoized
def table(size: int = 2**22, seed: int = 123) -> Noise:
    """Slices of one shared table of normal numbers (Salimans et al. 2017, section 2.1).

    Args:
        size: how many numbers the table has, float32; at least the number of parameters, and better many times that,
            because overlapping slices make perturbations dependent. OpenAI's code used 250,000,000.
        seed: seed of the table, which NumPy's `RandomState(seed).randn` draws.

    Raises:
        ValueError: at the first draw, if there are more parameters than `size`.

    >>> table(1000).sample(jax.random.key(0), jnp.arange(4), jnp.zeros((3, 2))).shape
    (4, 3, 2)
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    values = np.random.RandomState(seed).randn(size).astype(np.float32)

    def sample(key, units, like):
        leaves, tree = jax.tree.flatten(like)
        need = trees.size(like)
        if need > size:
            raise ValueError(f"size of the noise table must be at least the number of parameters {need}, got {size}")
        shared = jnp.asarray(values)

        def one(unit_key):
            offset = jax.random.randint(unit_key, (), 0, size - need + 1)
            out = []
            for x in leaves:
                out.append(lax.dynamic_slice_in_dim(shared, offset, x.size).reshape(x.shape).astype(x.dtype))
                offset = offset + x.size
            return tree.unflatten(out)

        return jax.vmap(one)(keys.of_each(key, _ids(units)))

    return Noise(sample, trees.add_scaled, _weighted_sum)


@memoized
def orthogonal(group: int = 8) -> Noise:
    """Normal numbers, orthogonal to the perturbations of the other units in the same group.

    Each unit alone is standard normal: its direction comes from a QR decomposition, and its length is independent of
    the direction. These are the orthogonal Gaussian perturbations of Choromanski et al. 2018, "Structured Evolution
    with Compact Architectures for Scalable Policy Optimization".

    Args:
        group: units `g * group, ..., (g + 1) * group - 1` are orthogonal to each other; at most the number of
            parameters. Asking for single members draws their whole group.

    Raises:
        ValueError: if the group is below 2, or, at the first draw, larger than the number of parameters.

    >>> z = orthogonal(2).sample(jax.random.key(0), jnp.arange(2), jnp.zeros(5))
    >>> bool(abs(z[0] @ z[1]) < 1e-5)
    True
    """
    if group < 2:
        raise ValueError(f"group must be 2 or more, got {group}")

    def sample(key, units, like):
        n = trees.size(like)
        if group > n:
            raise ValueError(f"group must be at most the number of parameters {n}, got {group}")
        dtype = trees.number_dtype(like)

        def rows(index):
            normal = jax.random.normal(jax.random.fold_in(key, index), (n, group), dtype)
            q, r = jnp.linalg.qr(normal)
            # Signs make Q uniform (Mezzadri 2007); lengths of the columns are independent of their directions.
            scale = jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(dtype) * jnp.linalg.norm(normal, axis=0)
            return (q * scale[None]).T

        if isinstance(units, Block) and units.size % group == 0:
            groups = units.start // group + jnp.arange(units.size // group)
            flat = jax.vmap(rows)(groups).reshape(units.size, n)
        else:
            flat = jax.vmap(lambda i: rows(i // group)[i % group])(_ids(units))
        return jax.vmap(lambda z: trees.unravel(z, like))(flat)

    return Noise(sample, trees.add_scaled, _weighted_sum)


@memoized
def colored(exponent: float = 2.0) -> Noise:
    """Normal numbers that are correlated along the first axis of every parameter, which is its time.

    They serve for sequences of actions, where white noise would cancel itself out (Pinneri et al. 2020,
    "Sample-efficient Cross-Entropy Method for Real-time Planning", section 3.1). Their power falls with the frequency f
    as `f ** -exponent`; frequency 0 has the power of the lowest frequency above it. Each number alone has variance 1.
    Time is a ring: the last step is as close to the first as to the one before it.

    Args:
        exponent: 0 for white noise, 1 for pink, 2 for red; iCEM's values lie between 0.25 and 4.

    Raises:
        ValueError: if the exponent is below 0, or, at the first draw, if a parameter is a scalar.

    >>> colored().sample(jax.random.key(0), jnp.arange(4), jnp.zeros((10, 2))).shape  # 10 steps of 2 numbers
    (4, 10, 2)
    """
    checks.real("exponent", exponent, "of 0 or more", lambda x: x >= 0)

    def ring(power: float, x: Any) -> jax.Array:
        """The covariance along the first axis of x, raised to `power`: float[size, size]."""
        size = x.shape[0]
        spectrum = np.maximum(np.abs(np.fft.fftfreq(size)), 1 / size) ** -float(exponent)
        row = np.fft.ifft((spectrum / spectrum.mean()) ** power).real
        return jnp.asarray(row[(np.arange(size)[:, None] - np.arange(size)) % size], x.dtype)

    def along_time(power: float, x: jax.Array) -> jax.Array:
        flat = x.reshape(x.shape[0], -1)
        return jnp.matmul(ring(power, x), flat, precision=lax.Precision.HIGHEST).reshape(x.shape)

    def sample(key, units, like):
        for path, x in jax.tree_util.tree_leaves_with_path(like):
            if not x.shape:
                raise ValueError(f"params{jax.tree_util.keystr(path)} must have an axis of time for colored noise")
        white = gaussian().sample(key, units, like)
        return jax.tree.map(jax.vmap(functools.partial(along_time, 0.5)), white)

    def combine(weights, z):
        return jax.tree.map(functools.partial(along_time, -1.0), _weighted_sum(weights, z))

    return Noise(sample, trees.add_scaled, combine)


@memoized
def subset(which: Any, noise: Noise | str | None = None) -> Noise:
    """Perturb only some of the parameters.

    Args:
        which: a float in (0, 1]: every unit perturbs a random part of the coordinates, of that size; or a tree of
            booleans (a prefix of the parameters' tree, or boolean arrays of the leaves' shapes): the parts that are
            True are perturbed, and the search never changes the rest.
        noise: the kind of noise within the subset; `gaussian()` by default.

    Raises:
        ValueError: if the fraction is outside (0, 1], or, at the first draw, if the tree does not fit.
        TypeError: if a leaf of the tree is not boolean.

    >>> params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    >>> z = subset({"w": True, "b": False}).sample(jax.random.key(0), jnp.arange(4), params)
    >>> bool((z["w"] != 0).all()), bool((z["b"] == 0).all())
    (True, True)
    """
    inner = noise_of(noise)
    if isinstance(which, int | float) and not isinstance(which, bool):
        if not 0 < which <= 1:
            raise ValueError(f"which must be a fraction in (0, 1] or a tree of booleans, got {which}")
        return _random_subset(float(which), inner)
    for leaf in jax.tree.leaves(which):
        if jnp.result_type(leaf) != jnp.bool_:
            raise TypeError(
                f"which must be a fraction in (0, 1] or a tree of booleans, got a leaf of {jnp.result_type(leaf)}"
            )

    def sample(key, units, like):
        try:
            masks = jax.tree.map(
                lambda mask, part: jax.tree.map(lambda x: jnp.broadcast_to(mask, x.shape), part), which, like
            )
        except ValueError as error:
            raise ValueError(
                f"which must be a prefix of the parameters' tree with masks of their shapes: {error}"
            ) from None
        return jax.tree.map(lambda z, mask: jnp.where(mask, z, 0), inner.sample(key, units, like), masks)

    return Noise(sample, inner.perturb, inner.combine)


def _random_subset(fraction: float, inner: Noise) -> Noise:
    def sample(key, units, like):
        leaves, tree = jax.tree.flatten(like)
        mask_key = keys.stream(key, Stream.MASK)

        def mask(unit_key):
            of_leaves = jax.random.split(unit_key, len(leaves))
            return tree.unflatten(
                [jax.random.bernoulli(k, fraction, x.shape) for k, x in zip(of_leaves, leaves, strict=True)]
            )

        masks = jax.vmap(mask)(keys.of_each(mask_key, _ids(units)))
        return jax.tree.map(lambda z, m: jnp.where(m, z, 0), inner.sample(key, units, like), masks)

    def combine(weights, z):
        return inner.combine(weights * (1 / fraction), z)

    return Noise(sample, inner.perturb, combine)


def _normal(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """What `jax.random.normal` draws, with the factor sqrt(2) where the compiler cannot merge it into a scale.

    XLA merges a constant factor into the scale of a perturbation in some programs and not in others, and so would round
    a member in two ways. Here the factor carries the sign of the number, and so is no constant.
    """
    low = np.nextafter(np.array(-1.0, dtype), np.array(0.0, dtype), dtype=dtype)
    u = jax.random.uniform(key, shape, dtype, minval=low, maxval=1.0)
    return jnp.copysign(jnp.asarray(np.sqrt(2), dtype), u) * lax.erf_inv(jnp.abs(u))


def _dense(draw: Callable) -> Noise:
    def sample(key, units, like):
        leaves, tree = jax.tree.flatten(like)
        groups = _groups(leaves)

        def one(unit_key):
            out: list[Any] = [None] * len(leaves)
            of_groups = [unit_key] if len(groups) == 1 else jax.random.split(unit_key, len(groups))
            for group_key, group in zip(of_groups, groups, strict=True):
                of_group = [leaves[i] for i in group]
                flat = draw(group_key, (sum(x.size for x in of_group),), of_group[0].dtype)
                ends = np.cumsum([x.size for x in of_group])[:-1].tolist()
                for i, x, part in zip(group, of_group, jnp.split(flat, ends), strict=True):
                    out[i] = part.reshape(x.shape)
            return tree.unflatten(out)

        return jax.vmap(one)(keys.of_each(key, _ids(units)))

    return Noise(sample, trees.add_scaled, _weighted_sum)


def _groups(leaves: list[Any]) -> list[list[int]]:
    """Which leaves are drawn together: of one dtype, and `_TOGETHER` numbers at most unless it is a single leaf.

    A draw of threefry takes over half a second to compile on CPU, whatever its size; drawing a large leaf as a part of
    something larger would take its memory twice.
    """
    groups: list[list[int]] = []
    open_group: dict[Any, tuple[list[int], int]] = {}  # of each dtype, and its numbers
    for i, x in enumerate(leaves):
        group, size = open_group.get(x.dtype, ([], _TOGETHER))
        if size + x.size > _TOGETHER:
            group, size = [], 0
            groups.append(group)
        group.append(i)
        open_group[x.dtype] = group, size + x.size
    return groups


def _ids(units: Any) -> jax.Array:
    return units.ids if isinstance(units, Block) else units


def _weighted_sum(weights: jax.Array, z: Any) -> Any:
    return jax.tree.map(lambda e: trees.weighted_rows(weights.astype(e.dtype), e).astype(e.dtype), z)


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
