"""A population over the devices of a mesh: each device evaluates its blocks of members, and all learn the same.

Salimans et al. 2017, Algorithm 2: workers can draw each other's noise, so only fitness has to be sent.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxes.blocks import AXIS
from jaxes.support import checks

F = TypeVar("F", bound=Callable[..., Any])


def mesh(devices: int | Sequence[jax.Device] | None = None, parameters: int = 1) -> Mesh:
    """A mesh with the axis "population".

    Args:
        devices: the number of devices, counted over all processes, or a list of them; all by default.
        parameters: a size above 1 adds an axis "parameters", over which a large model may be sharded: shard its
            matrices by `jax.device_put`, and the compiler keeps them so.

    Raises:
        ValueError: if there are fewer devices; on a CPU, `jax.config.update("jax_num_cpu_devices", n)` before JAX
            starts makes n of it.

    >>> dict(mesh(1).shape)
    {'population': 1}
    """
    every = jax.devices()
    if devices is None or isinstance(devices, int):
        count = len(every) if devices is None else devices
        checks.count("devices", count)
        if count > len(every):
            hint = "; before JAX starts, jax_num_cpu_devices makes more of them" if every[0].platform == "cpu" else ""
            raise ValueError(f"devices must be at most the {len(every)} that there are, got {count}{hint}")
        devices = every[:count]
    checks.count("parameters", parameters)
    if len(devices) % parameters:
        raise ValueError(f"parameters must divide the {len(devices)} devices, got {parameters}")
    shape, names = (len(devices),), (AXIS,)
    if parameters > 1:
        shape, names = (len(devices) // parameters, parameters), (AXIS, "parameters")
    return Mesh(np.asarray(devices).reshape(shape), names, axis_types=(AxisType.Auto,) * len(names))


def spread(function: F, mesh: Mesh) -> F:
    """A generation, or any function made of generations, over the devices of a mesh.

    Args:
        function: `jaxes.generation(strategy, problem, comm)`, or a loop over it: its arguments and results are whole on
            every device. The strategy has `blocks=`, which the number of devices must divide.
        mesh: with an axis "population" (`jaxes.parallel.mesh`). Its other axes are left to the compiler, which shards
            over them what is sharded.

    Returns:
        The same function, to be called in `jit` or `scan`, on one process or on all of them at once.

    The function itself also runs under `jax.pmap(..., axis_name="population")`, with the same bits.

    Raises:
        ValueError: for a mesh without the axis; when traced, if its size does not divide the blocks.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1, blocks=4)
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> step = jaxes.parallel.spread(jaxes.generation(strategy, sphere), jaxes.parallel.mesh())
    >>> carry = strategy.init(jax.random.key(0), jnp.ones(3)), sphere.init(jax.random.key(1))
    >>> carry, infos = jax.jit(lambda carry: jax.lax.scan(step, carry, length=5))(carry)
    >>> infos.best.shape
    (5,)
    """
    if not isinstance(mesh, Mesh) or AXIS not in mesh.axis_names:
        got = f"axes {mesh.axis_names}" if isinstance(mesh, Mesh) else repr(mesh)
        raise ValueError(f"mesh must be a jax.sharding.Mesh with an axis {AXIS!r}, got {got}")
    on_devices = jax.shard_map(
        function, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec(), axis_names={AXIS}, check_vma=False
    )

    @functools.wraps(function)
    def run(*args):
        return on_devices(*args)

    return run  # pyrefly: ignore[bad-return]


def replicated(tree: Any, mesh: Mesh) -> Any:
    """A tree of arrays, copied whole to every device of a mesh.

    Args:
        tree: arrays of any shape or random keys, with the same values in every process.
        mesh: the mesh of all processes.

    >>> import jax.numpy as jnp
    >>> replicated({"w": jnp.ones((2, 3))}, mesh(1))["w"].sharding.is_fully_replicated
    True
    """
    sharding = NamedSharding(mesh, PartitionSpec())

    def copied(x):
        x = jax.numpy.asarray(x)
        if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(copied(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        value = np.asarray(x)
        return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])

    return jax.tree.map(copied, tree)


def local(tree: Any) -> Any:
    """The arrays of a replicated tree, each on one device of this process.

    >>> import jax.numpy as jnp
    >>> local(replicated(jnp.arange(3), mesh(1))).tolist()
    [0, 1, 2]
    """
    return jax.tree.map(lambda x: x.addressable_data(0) if isinstance(x, jax.Array) else x, tree)
