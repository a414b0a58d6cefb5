"""Every stream of randomness has its name here, once.

Keys form a tree: a child by number (a generation, a member, an episode; what `jax.random.split` makes too, for
`split(key)[i]` is `fold_in(key, i)`) or a child by name. Names have words that no number reaches, so two streams never
meet, whatever members, environments and models split.
"""

import enum
from typing import Any

import jax

LARGEST_NUMBER = 0x7FFF0000
"""Children by number, such as the ids of members, are below this."""


class Stream(enum.IntEnum):
    """Children by name, each a word above all numbers; the comment says of which key."""

    # of a generation's key
    PROBLEM = 0x7FFFFFFF  # what the problem draws
    MASK = 0x7FFFFFFE  # which parameters `noise.subset` perturbs
    CHOICE = 0x7FFFFFFD  # what members choose, beside their perturbation

    # of the problem's key of a generation
    PROBE = 0x7FFFFFFC  # the reset around whose observation moments are taken

    # of an episode's key
    ACTION = 0x7FFFFFFB  # noise of its actions
    WATCH = 0x7FFFFFFA  # whether the normalizer sees it
    AGAIN = 0x7FFFFFF9  # the episodes that follow it in the same slot
    PLAN = 0x7FFFFFF8  # plans made in it

    # of a strategy's key
    RESTART = 0x7FFFFFF7  # where a run begins, and its own key
    POPULATION = 0x7FFFFFF6  # the first population, or where particles start
    DIRECTION = 0x7FFFFFF5  # the first direction or subspace

    # of a run's key
    STRATEGY = 0x7FFFFFF4
    TASK = 0x7FFFFFF3  # the problem's state
    EVALUATION = 0x7FFFFFF2  # held-out episodes
    CONFIRMATION = 0x7FFFFFEF  # the fresh episodes that confirm a target
    PARAMETERS = 0x7FFFFFF1  # the initial ones
    REFERENCE = 0x7FFFFFF0  # the reference batch of virtual batch normalization


def stream(key: jax.Array, name: Stream) -> jax.Array:
    """The child of a key by name."""
    return jax.random.fold_in(key, int(name))


def of_each(key: jax.Array, numbers: jax.Array) -> jax.Array:
    """key[k]: the children of a key by number, int[k]."""
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)


def of_generation(state: Any) -> jax.Array:
    """The key of a strategy's current generation."""
    return jax.random.fold_in(state.key, state.step)


def of_problem(state: Any) -> jax.Array:
    """The problem's key in a strategy's current generation: the same for all members."""
    return stream(of_generation(state), Stream.PROBLEM)


def of_episode(key: jax.Array, again: jax.Array) -> jax.Array:
    """The key of an episode in a slot whose first episode has `key`, after `again` (int32[]) others."""
    return jax.numpy.where(again > 0, jax.random.fold_in(stream(key, Stream.AGAIN), again), key)


def of_action(key: jax.Array, step: jax.Array) -> jax.Array:
    """The key of an action, from the key of its episode."""
    return jax.random.fold_in(stream(key, Stream.ACTION), step)
