"""Populations whose members share their matrices and differ by factors of low rank."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.lowrank.interpreter import structured
from jaxes.lowrank.leaf import LowRank, Rounded, any_low_rank, dense_tree, is_low_rank


def _axes(tree: Any) -> Any:
    """The axes for `jax.vmap`: members are the first axis of every array that they do not share."""
    one = lambda x: replace(x, w=None, a=0, b=0, scale=0, unit=None) if is_low_rank(x) else 0
    return jax.tree.map(one, tree, is_leaf=is_low_rank)


def vmap(apply: Callable[..., Any]) -> Callable[..., Any]:
    """A model, or any function of a member, for a whole population.

    Args:
        apply: `apply(member, *inputs)`, such as the `apply` of a Flax linen module.

    Returns:
        `f(population, *inputs)`: all leaves of the population, the inputs and the result have a leading axis of
        members. Matrices that members of low rank share (`jaxes.noise.low_rank`) stay shared, so that the whole
        population goes through one matrix product.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1, noise=jaxes.noise.low_rank())
    >>> state = strategy.init(jax.random.key(0), {"w": jnp.zeros((3, 2))})
    >>> jaxes.vmap(lambda p, x: x @ p["w"])(strategy.ask(state), jnp.ones((8, 3))).shape
    (8, 2)
    """

    def run(population, *inputs):
        return jax.vmap(structured(apply), in_axes=(_axes(population), *(0,) * len(inputs)))(population, *inputs)

    return run


def materialize(population: Any) -> Any:
    """The dense equivalent: leaves [members, *leaf.shape], whatever the noise.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1, noise=jaxes.noise.low_rank())
    >>> state = strategy.init(jax.random.key(0), {"w": jnp.zeros((3, 2))})
    >>> jaxes.materialize(strategy.ask(state))["w"].shape
    (8, 3, 2)
    """
    if not any_low_rank(population):
        return population
    return jax.vmap(dense_tree, in_axes=(_axes(population),))(population)


def each(make: Callable[..., Any], *rows: Any) -> Any:
    """A population: `make(*row) -> member` of every row.

    Args:
        make: a function from rows, trees without the leading axis, to a member.
        rows: trees with leaves [k, ...].

    Returns:
        Leaves [k, *leaf.shape]; matrices that all members share have no leading axis.

    >>> each(lambda z: 1 + z, jnp.zeros((4, 3))).shape
    (4, 3)
    """
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), rows)
    return jax.vmap(make, out_axes=_axes(jax.eval_shape(make, *first)))(*rows)


def own(population: Any) -> Any:
    """The part of a population that members do not share: a tree whose arrays all have a leading axis of members.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1, noise=jaxes.noise.low_rank())
    >>> population = strategy.ask(strategy.init(jax.random.key(0), {"w": jnp.zeros((3, 2))}))
    >>> [x.shape for x in jax.tree.leaves(own(population))]
    [(8, 1, 3), (8, 1, 2), (8,)]
    """
    bare = lambda x: replace(x, w=None, unit=None, like=x.dtype) if is_low_rank(x) else x
    return jax.tree.map(bare, population, is_leaf=is_low_rank)


def common(population: Any) -> Any:
    """The part of a population that all members share: a tree of matrices, with None for a dense parameter.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1, noise=jaxes.noise.low_rank())
    >>> population = strategy.ask(strategy.init(jax.random.key(0), {"w": jnp.zeros((3, 2))}))
    >>> [x.shape for x in jax.tree.leaves(common(population))]
    [(3, 2)]
    """

    def one(x):
        if not is_low_rank(x):
            return None
        return x.w if x.unit is None else Rounded(x.w, x.unit)

    return jax.tree.map(one, population, is_leaf=is_low_rank)


def whole(common: Any, own: Any) -> Any:
    """A member or a population, put together from its two parts.

    Args:
        common: the tree from `common`.
        own: the tree from `own`, or one member of it.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1, noise=jaxes.noise.low_rank())
    >>> population = strategy.ask(strategy.init(jax.random.key(0), {"w": jnp.zeros((3, 2))}))
    >>> first = jax.tree.map(lambda x: x[0], own(population))
    >>> whole(common(population), first)["w"].dense().shape
    (3, 2)
    """
    leaves, tree = jax.tree.flatten(own, is_leaf=is_low_rank)
    matrices = tree.flatten_up_to(common)
    return tree.unflatten([with_matrix(x, w) if is_low_rank(x) else x for x, w in zip(leaves, matrices, strict=True)])


def with_matrix(z: LowRank, w: Any) -> LowRank:
    """The perturbation of a matrix together with this matrix, an array or `Rounded`."""
    return replace(z, w=w.values, unit=w.unit) if isinstance(w, Rounded) else replace(z, w=w)


def interleaved(up: Any, down: Any) -> Any:
    """Members of two populations by turns: up[0], down[0], up[1], down[1], ...

    Args:
        up: leaves [k, *leaf.shape].
        down: leaves [k, *leaf.shape]; it shares the same matrices.

    Returns:
        Leaves [2k, *leaf.shape].

    >>> interleaved(jnp.array([1.0, 2.0]), jnp.array([-1.0, -2.0])).tolist()
    [1.0, -1.0, 2.0, -2.0]
    """
    both = jax.tree.map(lambda a, b: jnp.stack([a, b], 1).reshape(2 * a.shape[0], *a.shape[1:]), own(up), own(down))
    return whole(common(up), both)
