"""One interface to both of Flax's module systems: pure functions of parameters that are a plain tree.

A module with `initialize_carry` is recurrent, by the convention of Flax's own cells: it is called as
`module(carry, observation)` and returns `(carry, output)`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from jaxes.envs.protocol import Env
from jaxes.rl.policies.virtual_batch_norm import AXIS, COLLECTION


class Memory(NamedTuple):
    """What a policy remembers through an episode."""

    carry: Any  # of a recurrent module, or ()
    statistics: Any  # of virtual batch normalization, or ()


class Network(NamedTuple):
    """A module as pure functions."""

    init: Callable[[jax.Array], Any]  # (key) -> params
    start: Callable[[Any], Any]  # (params) -> Memory, or () if there is nothing to remember
    call: Callable[[Any, Any, Any], tuple[Any, Any]]  # (params, memory, observation) -> (output, memory)


def network(module: Any, env: Env, reference: Any = None) -> Network:
    """The pure functions of a module; for the arguments see `jaxes.rl.policy`."""
    if isinstance(module, nn.Module):
        return _linen(module, env, reference)
    if not callable(module) or isinstance(module, type):
        raise TypeError(f"module must be a Flax linen or nnx module, or a function of nnx.Rngs, got {module!r}")
    if reference is not None:
        raise ValueError("reference is for linen modules with VirtualBatchNorm, got an nnx module")
    return _nnx(module, env)


def _linen(module: nn.Module, env: Env, reference: Any) -> Network:
    recurrent, shape = hasattr(module, "initialize_carry"), _shape(env)
    if reference is not None:
        _check_reference(env, reference)

    def first_carry(m):
        return m.initialize_carry(jax.random.key(0), shape)

    def first_call(m, observation):
        return m(first_carry(m), observation) if recurrent else m(observation)

    def init(key):
        example = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), env.observation)
        variables = nn.init(first_call, module)(key, example)
        if others := sorted(set(variables) - {"params", COLLECTION}):
            raise ValueError(f"module must have parameters only, got the collections {', '.join(others)} too")
        if COLLECTION in variables and reference is None:
            raise ValueError(
                "module has virtual batch normalization: give reference, such as jaxes.rl.reference_batch(env, key)"
            )
        if COLLECTION not in variables and reference is not None:
            raise ValueError("reference is for modules with VirtualBatchNorm; this module has none")
        return {"params": variables["params"]} if "params" in variables else {}

    def start(params):
        if not recurrent and reference is None:
            return ()
        carry = nn.apply(first_carry, module)(params) if recurrent else ()
        if reference is None:
            return Memory(carry, ())
        collect = lambda x: nn.apply(first_call, module, mutable=[COLLECTION])(params, x)[1][COLLECTION]
        return Memory(carry, jax.vmap(collect, axis_name=AXIS, out_axes=None)(reference))

    def call(params, memory, observation):
        variables = params if reference is None else {**params, COLLECTION: memory.statistics}
        if not recurrent:
            return module.apply(variables, observation), memory
        carry, out = _pair(module.apply(variables, memory.carry, observation), memory.carry)
        return out, memory._replace(carry=carry)

    return Network(init, start, call)


def _nnx(module: Any, env: Env) -> Network:
    make = (lambda rngs: module) if isinstance(module, nnx.Module) else module
    example = make(nnx.Rngs(0))
    if not isinstance(example, nnx.Module):
        raise TypeError(f"module must return an nnx module when it is called with nnx.Rngs, got {example!r}")
    recurrent, shape = hasattr(example, "initialize_carry"), _shape(env)
    graph, blank, others = nnx.split(example, nnx.Param, ...)
    if others:
        kinds = sorted({type(variable).__name__ for _, variable in nnx.to_flat_state(others)})
        raise ValueError(f"module must have variables of the kind Param only, got {', '.join(kinds)} too")

    def whole(params) -> Any:
        state = jax.tree.map(lambda x: x, blank)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)

    def init(key):
        return nnx.to_pure_dict(nnx.split(make(nnx.Rngs(key)), nnx.Param, ...)[1])

    def start(params):
        return Memory(whole(params).initialize_carry(shape, nnx.Rngs(0)), ()) if recurrent else ()

    def call(params, memory, observation):
        if not recurrent:
            return whole(params)(observation), memory
        carry, out = _pair(whole(params)(memory.carry, observation), memory.carry)
        return out, memory._replace(carry=carry)

    return Network(init, start, call)


def _shape(env: Env) -> Any:
    """The observation's shape, or a tree of shapes: the argument of `initialize_carry`."""
    return jax.tree.map(lambda x: tuple(x.shape), env.observation)


def _pair(out: Any, before: Any) -> tuple[Any, Any]:
    """Return `(carry, output)` if the carry has kept its shapes and dtypes, which a loop needs."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise ValueError(f"module has initialize_carry, so it must return (carry, output); got a {type(out).__name__}")
    kinds = lambda tree: jax.tree.map(lambda x: f"{jnp.result_type(x)}{list(jnp.shape(x))}", tree)
    if kinds(before) != kinds(out[0]):
        raise ValueError(
            "module must return a carry of the shapes and dtypes that it was given; "
            f"given {kinds(before)}, returned {kinds(out[0])}"
        )
    return out


def _check_reference(env: Env, reference: Any) -> None:
    given = jax.tree.map(lambda x: tuple(jnp.shape(x)), reference)
    sizes = {jnp.shape(x)[:1] for x in jax.tree.leaves(reference)}
    wanted = jax.tree.map(lambda x: (*next(iter(sizes), ()), *x.shape), env.observation)
    if len(sizes) != 1 or sizes == {()} or given != wanted:
        raise ValueError(f"reference must be observations of {env.name}, shape [size] + {_shape(env)}; got {given}")
