"""What JAX has no public name for, each with what is done in a version that does not have the private one either."""

from typing import Any


def backends_started() -> bool | None:
    """Whether JAX has started its backends; None where this version does not tell."""
    try:
        from jax._src import xla_bridge

        return bool(xla_bridge.backends_are_initialized())
    except (ImportError, AttributeError):
        return None


def wait_for_all(name: str, seconds: float) -> None:
    """Return when every process of the cluster has called this with the same name.

    The coordination service waits as long as it is told to. Without it a collective serves, whose own limit counts.
    """
    try:
        from jax._src import distributed

        client: Any = distributed.global_state.client
        wait = client.wait_at_barrier
    except (ImportError, AttributeError):
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)
        return
    wait(name, timeout_in_ms=int(1000 * seconds))
