"""Strict mode: programs for different numbers of devices round alike."""

import os

import jax

_FLAG = "--xla_cpu_max_isa=AVX"


def strict() -> None:
    """Switch strict mode on, before JAX starts.

    On CPUs a compiler may round `a * b + c` once or twice, and does it in one program and not in another: with the
    instructions that do so switched off, 1, 2, 4 and 8 devices agree bit for bit (`jaxes.parallel.spread`). Costs some
    percent. Other backends are not changed; there one executable for all devices does it
    (`jaxes.parallel.block_by_block`), which `jaxes train --strict` takes.

    Raises:
        RuntimeError: if JAX has started already: it reads the switch once.

    >>> import os
    >>> from jaxes.parallel import is_strict
    >>> is_strict() == ("--xla_cpu_max_isa=AVX" in os.environ.get("XLA_FLAGS", "").split())
    True
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
    """Whether the switch is on; processes that are started from here inherit it."""
    return _FLAG in os.environ.get("XLA_FLAGS", "").split()


def started() -> bool:
    """Whether JAX has started its backends, after which their devices and switches cannot be changed."""
    from jax._src import xla_bridge  # JAX has no public way to ask

    asked = getattr(xla_bridge, "backends_are_initialized", None)
    return bool(asked()) if asked is not None else bool(jax.devices())
