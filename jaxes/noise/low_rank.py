"""Perturbations that are matrices of low rank, kept as their factors."""

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.lowrank.leaf import LowRank, is_low_rank, rounded, weighted_products
from jaxes.lowrank.plan import Entry, Plan, planned
from jaxes.lowrank.population import with_matrix
from jaxes.noise.dense import normal
from jaxes.noise.kind import Noise, ids_of, weighted_sum
from jaxes.support import checks, keys, trees
from jaxes.support.memoized import memoized


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
    draw = {"rademacher": _signs, "normal": normal}[
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

        return jax.vmap(one)(keys.of_each(key, ids_of(units)))

    def perturb(params, scale, z):
        def one(w, x):
            if not is_low_rank(x):
                return w + jnp.asarray(scale).astype(w.dtype) * x
            size = jnp.asarray(scale).astype(x.scale.dtype) * x.scale
            return with_matrix(replace(x, scale=size, like=w.dtype), matrix(w))

        return jax.tree.map(one, params, z)

    def combine(weights, z):
        one = lambda x: weighted_products(weights, x) if is_low_rank(x) else weighted_sum(weights, x)
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
