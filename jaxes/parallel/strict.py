"""Strict mode: programs for different numbers of devices round in the same way."""

import os

from jaxes.parallel.private import backends_started

_FLAG = "--xla_cpu_max_isa=AVX"


def strict() -> None:
    """Switch strict mode on, before JAX starts.

    On a CPU the compiler may round `a * b + c` once (a fused multiply-add) or twice, and decides anew in each program.
    Strict mode forbids the fused instruction, so that 1, 2, 4 and 8 devices agree bit for bit
    (`jaxes.parallel.spread`); programs become up to 15 % slower. Other backends are not changed: there, one executable
    that runs on every device gives the same bits (`jaxes.parallel.block_by_block`, or `jaxes train --strict`).

    Raises:
        RuntimeError: if JAX has started already: it reads the switch once.

    >>> import jaxes
    >>> jaxes.strict()  # doctest: +SKIP
    """
    if is_strict():
        return
    if started():
        raise RuntimeError(
            "strict must be called before JAX starts: before the first array, key or jax.devices(); "
            f"or set XLA_FLAGS={_FLAG}"
        )
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()


def is_strict() -> bool:
    """Whether strict mode is on; processes that are started from this one inherit it.

    >>> import os
    >>> is_strict() == ("--xla_cpu_max_isa=AVX" in os.environ.get("XLA_FLAGS", "").split())
    True
    """
    return _FLAG in os.environ.get("XLA_FLAGS", "").split()


def started() -> bool:
    """Whether JAX has started its backends, after which the number of devices and XLA's flags cannot be changed.

    A version of JAX that does not tell counts as started, so that nothing is promised which may not hold.

    >>> import jax.numpy as jnp
    >>> _ = jnp.zeros(3).block_until_ready()
    >>> started()
    True
    """
    told = backends_started()
    return True if told is None else told
