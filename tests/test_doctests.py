"""The examples of all docstrings run as they stand."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import jax
import pytest

import jaxes

ROOT = Path(jaxes.__file__).parent


def has_examples(name):
    path = ROOT.joinpath(*name.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    lines = path.read_text().splitlines()
    return any(">>>" in line and "+SKIP" not in line for line in lines)


MODULES = [module.name for module in pkgutil.walk_packages(jaxes.__path__, "jaxes.") if has_examples(module.name)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
