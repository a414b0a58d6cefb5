"""The same bits on any number of devices of any kind: one executable, compiled for one device and one block.

How a program rounds depends on what the compiler fuses, and that depends on the whole program. `jaxes.strict` controls
this on CPUs. Elsewhere, all devices run the very same program, one block at a time.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.blocks import Block
from jaxes.problem import Evaluated, Problem, evaluated_block, evolved
from jaxes.strategy import Strategy


def block_by_block(
    strategy: Strategy, problem: Problem, devices: Sequence[jax.Device] | None = None
) -> Callable[..., Any]:
    """A generation whose blocks Python deals to devices: `(state, problem_state) -> (carry, (info, fitness))`.

    All devices evaluate at the same time, and the first one tells the strategy. The function cannot be part of another
    compiled program.

    Args:
        strategy: made with `blocks=`.
        problem: one that runs in compiled programs and keeps no rows.
        devices: devices of this process, all by default. Their number need not divide the blocks.

    Returns:
        The function; its fitness is float[population_size].

    Raises:
        ValueError: for a problem that runs in Python or keeps rows.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1, blocks=4)
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> step = jaxes.parallel.block_by_block(strategy, sphere)
    >>> carry, (info, fitness) = step((strategy.init(jax.random.key(0), jnp.ones(3)), ()))
    >>> fitness.shape
    (8,)
    """
    if problem.host or problem.rows:
        raise ValueError("problem must run in compiled programs and keep no rows of its members")
    devices = list(jax.local_devices() if devices is None else devices)
    size = strategy.population_size // strategy.blocks

    @jax.jit
    def evaluate(state, problem_state, start):
        return evaluated_block(strategy, problem, state, problem_state, Block(start, size, regular=True))[:2]

    def evaluator(state, problem_state):
        copies = [jax.device_put((state, problem_state), device) for device in devices[: strategy.blocks]]
        starts = [jnp.int32(i * size) for i in range(strategy.blocks)]
        parts = [evaluate(*copies[i % len(copies)], start) for i, start in enumerate(starts)]  # not waited for
        return joined(jax.device_put(parts, devices[0]))

    @jax.jit
    def joined(parts):
        fitness, sums = zip(*parts, strict=True)
        total = functools.reduce(lambda total, one: jax.tree.map(jnp.add, total, one), sums)
        return Evaluated(jnp.concatenate(fitness), total)

    return evolved(strategy, problem, evaluator, compiled=jax.jit)
