"""Supervised learning as a problem: all members of a generation are evaluated on the same batch of examples."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.lowrank import vmap
from jaxes.problem import Problem
from jaxes.support import checks
from jaxes.support.counter import Counter

Loss = Callable[[Any, Any], jax.Array]


class State(NamedTuple):
    """The state of the problem: the examples, and how many have been used."""

    inputs: Any  # tree of arrays [examples, ...]
    targets: Any  # tree of arrays [examples, ...]
    seen: Counter  # examples that members were evaluated on, over all members and generations


def problem(
    apply: Callable[[Any, Any], Any], inputs: Any, targets: Any, *, loss: Loss, batch_size: int | None = None
) -> Problem:
    """The problem of minimizing a model's mean loss over a batch; the fitness is the negative loss.

    A batch is drawn with replacement from the generation's key and is the same for the whole population. So members are
    compared on the same examples, and what does not depend on a member is computed once. Members of low rank
    (`jaxes.noise.low_rank`) are never turned into full matrices. The examples are a part of the problem's state, and so
    of checkpoints.

    Args:
        apply: `apply(params, inputs) -> outputs` for a batch, such as the `apply` of a Flax linen module.
        inputs: an array [examples, ...], or a tree of such arrays.
        targets: likewise.
        loss: `loss(outputs, targets) -> float[batch]`, such as `optax.softmax_cross_entropy_with_integer_labels`. It
            need not be differentiable. It is given floats of 32 bits or more.
        batch_size: examples in a batch; None takes all examples in every generation.

    Returns:
        A `Problem` whose state is a `State`.

    Raises:
        ValueError: if there are not as many inputs as targets; when evaluated, if the loss has another shape.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> from jaxes import supervised
    >>> x = jnp.linspace(-1, 1, 32)[:, None]
    >>> line = supervised.problem(lambda w, x: w * x, x, 3 * x, loss=lambda y, t: (y - t)[:, 0] ** 2, batch_size=8)
    >>> strategy = jaxes.open_es(16, 0.1, learning_rate=0.1)
    >>> carry = strategy.init(jax.random.key(0), jnp.zeros(())), line.init(jax.random.key(1))
    >>> (state, _), _ = jax.lax.scan(jaxes.generation(strategy, line), carry, length=100)
    >>> round(strategy.recommend(state).item())
    3
    """
    size = _examples(inputs, targets)
    if batch_size is not None:
        checks.count("batch_size", batch_size)
        if batch_size > size:
            raise ValueError(f"batch_size must be at most the number of examples {size}, got {batch_size}")
    inputs, targets = jax.tree.map(jnp.asarray, (inputs, targets))

    def init(key):
        del key
        return State(inputs, targets, Counter.zero())

    def evaluate(state, key, ask, ids):
        batch = state.inputs, state.targets
        if batch_size is not None:
            rows = jax.random.randint(key, (batch_size,), 0, size)
            batch = jax.tree.map(lambda x: x[rows], batch)
        fitness = vmap(lambda member: -jnp.mean(_losses(loss, apply(member, batch[0]), batch[1])))(ask())
        return fitness, jnp.uint32(ids.shape[0] * (batch_size or size))

    def update(state, sums):
        return state._replace(seen=state.seen.plus(sums))

    return Problem(init, evaluate, update, lambda state: {"examples": state.seen})


def correct(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Which examples are classified correctly; the mean is the accuracy.

    Args:
        outputs: float[batch, classes].
        labels: int[batch].

    Returns:
        float32[batch]: 1 where the largest output is that of the label, else 0.

    >>> import jax.numpy as jnp
    >>> correct(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1])).tolist()
    [1.0, 0.0]
    """
    return (jnp.argmax(outputs, axis=-1) == labels).astype(jnp.float32)


def held_out(
    apply: Callable[[Any, Any], Any], inputs: Any, targets: Any, score: Loss = correct
) -> Callable[..., jax.Array]:
    """A function that scores parameters on held-out examples, for `jaxes.fit(evaluate=...)`.

    Args:
        apply: `apply(params, inputs) -> outputs` for a batch.
        inputs: an array [examples, ...], or a tree of such arrays.
        targets: likewise.
        score: `score(outputs, targets) -> float[batch]`, higher is better. With `correct` the mean score is the
            accuracy.

    Returns:
        `fn(params, problem_state=None, key=None) -> float[examples]`.

    Raises:
        ValueError: if there are not as many inputs as targets; when called, if the score has another shape.

    >>> import jax.numpy as jnp
    >>> score = held_out(lambda w, x: x * w, jnp.eye(2), jnp.array([0, 1]))
    >>> score(jnp.array([1.0, -1.0])).tolist()
    [1.0, 0.0]
    """
    _examples(inputs, targets)

    def evaluate(params, problem_state=None, key=None):
        del problem_state, key
        return _losses(score, apply(params, inputs), targets)

    return evaluate


def _losses(loss: Loss, outputs: Any, targets: Any) -> jax.Array:
    """The losses, float[batch], in 32 bits or more."""
    wide = lambda x: x.astype(jnp.float32) if x.dtype in (jnp.bfloat16, jnp.float16) else x
    values = loss(jax.tree.map(wide, outputs), targets)
    size = jax.tree.leaves(targets)[0].shape[0]
    if jnp.shape(values) != (size,):
        raise ValueError(f"loss must return one number per example, shape ({size},), got {jnp.shape(values)}")
    return values


def _examples(inputs: Any, targets: Any) -> int:
    """How many examples there are."""
    sizes = [{np.shape(x)[:1] for x in jax.tree.leaves(tree)} for tree in (inputs, targets)]
    if len(sizes[0]) != 1 or sizes[0] != sizes[1] or not all(size and size[0] for size in sizes[0]):
        shapes = [jax.tree.map(np.shape, tree) for tree in (inputs, targets)]
        raise ValueError(
            "inputs and targets must be arrays [examples, ...] of one number of examples, got shapes "
            f"{shapes[0]} and {shapes[1]}"
        )
    return sizes[0].pop()[0]
