"""ClipUp: an optimizer for gradients whose length says little; its main setting is a length in parameter space.

Toklu, Liskowski, Srivastava: "ClipUp: A Simple and Powerful Optimizer for Distribution-based Policy Evolution", PPSN
2020, arXiv:2008.02387, Algorithm 1.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxes.support import checks, trees
from jaxes.support.memoized import memoized, pickled


class State(NamedTuple):
    velocity: Any  # like the parameters, and in their units: the last step


class _Transformation(optax.GradientTransformation):
    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings."""
        return pickled(self)


@memoized
def clip_up(
    max_speed: float | jax.Array, *, step_size: float | jax.Array | None = None, momentum: float | jax.Array = 0.9
) -> optax.GradientTransformation:
    """The normalized gradient with momentum and a clipped velocity: an optax transformation that descends.

    Args:
        max_speed: scalar: the longest step, as a Euclidean norm over all parameters. The paper's rule of thumb is a
            fifteenth of the radius of the initial search distribution, `sigma * sqrt(n)`.
        step_size: scalar: the length that a gradient adds to the velocity; half of `max_speed` by default (section
            3.1).
        momentum: scalar: the part of the velocity that is kept, in [0, 1).

    Raises:
        ValueError: if a setting lies outside its range.

    `optax.inject_hyperparams(jaxes.clip_up)(max_speed=...)` keeps the settings in the optimizer's state.

    >>> import jax, jaxes, optax, jax.numpy as jnp
    >>> tx = jaxes.clip_up(0.3, step_size=0.2)
    >>> state = tx.init(jnp.zeros(2))
    >>> update, state = tx.update(jnp.array([30.0, -40.0]), state)
    >>> [round(float(x), 3) for x in update]
    [-0.12, 0.16]
    >>> update, state = tx.update(jnp.array([30.0, -40.0]), state)  # 0.9 * 0.2 + 0.2 is clipped to 0.3
    >>> [round(float(x), 3) for x in update]
    [-0.18, 0.24]
    """
    checks.number("max_speed", max_speed, exclusive=True)
    if step_size is not None:
        checks.number("step_size", step_size, exclusive=True)
    checks.number("momentum", momentum, below=1.0)
    size = 0.5 * max_speed if step_size is None else step_size

    def init(params):
        return State(jax.tree.map(jnp.zeros_like, params))

    def update(updates, state, params=None):
        del params
        # Algorithm 1: v' <- m v + alpha g / |g|; v <- v' v_max / |v'| if it is longer than that.
        dtype = trees.number_dtype(updates)
        wide = jax.tree.map(lambda v: v.astype(dtype), state.velocity)
        raw = trees.add_scaled(trees.scaled(momentum, wide), -size, direction(updates))
        limit = jnp.asarray(max_speed).astype(dtype)
        velocity = trees.where(trees.norm(raw) > limit, trees.scaled(limit, direction(raw)), raw)
        velocity = jax.tree.map(lambda new, v: new.astype(v.dtype), velocity, state.velocity)
        return velocity, State(velocity)

    return _Transformation(init, update)


def direction(tree: Any) -> Any:
    """The tree scaled to norm 1, without overflow or underflow on the way; zero stays zero."""
    dtype = trees.number_dtype(tree)
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(x)).astype(dtype) for x in jax.tree.leaves(tree)]))
    some = largest > 0
    tree = jax.tree.map(lambda x: x.astype(dtype) * (1 / jnp.where(some, largest, 1)), tree)
    length = trees.norm(tree)
    return jax.tree.map(lambda x: x * (1 / jnp.where(some, length, 1)), tree)
