"""On which devices the generations of a run are computed, and a chunk of them as one function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes import parallel
from jaxes.parallel import Comm, Processes
from jaxes.problem import Problem, generation_with_fitness
from jaxes.strategy import Strategy


class Devices(NamedTuple):
    """Where generations are computed; see `jaxes.fit` for the fields."""

    mesh: jax.sharding.Mesh | None
    comm: Comm
    block_by_block: bool
    processes: Processes

    def check(self, strategy: Strategy, problem: Problem) -> None:
        """Raise ValueError if the generations cannot be computed there."""
        if self.mesh is None:
            if self.processes.count > 1 or self.block_by_block:
                raise ValueError(
                    "several processes, or one executable for all devices, need a mesh: jaxes.parallel.mesh()"
                )
        elif problem.host:
            raise ValueError(
                "mesh is for problems that run in compiled programs; this one is played by worker processes"
            )
        elif self.block_by_block and self.processes.count > 1:
            raise ValueError("block_by_block takes the devices of one process, and there are several")
        elif not self.block_by_block and strategy.blocks % self.mesh.shape[parallel.AXIS]:
            count = self.mesh.shape[parallel.AXIS]
            blocks = -(-strategy.blocks // count) * count
            raise ValueError(
                f"blocks must be divisible by the {count} devices of the axis {parallel.AXIS!r}, got "
                f"blocks={strategy.blocks}: give blocks={blocks}, and a population_size that is divisible by {blocks} "
                f"(by {2 * blocks} where members come in pairs); it is {strategy.population_size}"
            )

    def everywhere(self, carry: Any) -> Any:
        """The carry on all devices, from one."""
        return carry if self.mesh is None or self.block_by_block else parallel.replicated(carry, self.mesh)

    def here(self, carry: Any) -> Any:
        """The carry on one device of this process, from all."""
        return carry if self.mesh is None or self.block_by_block else parallel.local(carry)

    def chunk(self, strategy: Strategy, problem: Problem) -> Callable[[Any, Any], Any]:
        """`chunk(carry, length) -> (carry, (info, fitness))`: some generations, and the results of the last one.

        The length is a traced number, so that one executable serves all lengths. The function is a plain one, not
        jitted, if worker processes play or if blocks are computed one by one.
        """
        if self.block_by_block:
            assert self.mesh is not None
            return _in_python(parallel.block_by_block(strategy, problem, list(self.mesh.devices.flat)))
        once = generation_with_fitness(strategy, problem, self.comm)
        if problem.host:
            return _in_python(once)
        step = jax.jit(once)  # so that it is traced once

        def chunk(carry, length):
            seen = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(step, carry)[1])
            return jax.lax.fori_loop(0, length, lambda _, c: step(c[0]), (carry, seen))

        return jax.jit(chunk if self.mesh is None else parallel.spread(chunk, self.mesh))


def _in_python(once: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def chunk(carry, length):
        carry, seen = once(carry)
        for _ in range(1, int(length)):
            carry, seen = once(carry)
        return carry, seen

    return chunk
