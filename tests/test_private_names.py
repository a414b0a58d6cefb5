"""What is done where a version of JAX lacks a private name that jaxes would use."""

import sys

import jax.numpy as jnp
import pytest
from jax.experimental import multihost_utils

from jaxes import parallel
from jaxes.parallel import private


def without(monkeypatch, name):
    """No `jax._src.<name>` to import."""
    monkeypatch.setitem(sys.modules, f"jax._src.{name}", None)
    monkeypatch.delattr(f"jax._src.{name}")


def test_this_version_has_the_names():
    jnp.zeros(3).block_until_ready()
    assert private.backends_started() is True


def test_whether_jax_has_started_is_not_told(monkeypatch):
    without(monkeypatch, "xla_bridge")
    assert private.backends_started() is None
    assert parallel.started()
    monkeypatch.setenv("XLA_FLAGS", "")
    with pytest.raises(RuntimeError, match="or set XLA_FLAGS=--xla_cpu_max_isa=AVX"):
        parallel.strict()


def test_there_is_no_barrier_that_waits_as_long_as_it_is_told_to(monkeypatch):
    without(monkeypatch, "distributed")
    met = []
    monkeypatch.setattr(multihost_utils, "sync_global_devices", met.append)
    parallel.Processes(count=2, mine=1).meet()
    assert len(met) == 1 and met[0].startswith("jaxes ")


def test_private_names_stand_in_one_module():
    from pathlib import Path

    folder = Path(parallel.__file__).parents[1]
    uses = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if "jax._src" in path.read_text()}
    assert uses == {"parallel/private.py"}
