"""The benchmarks that want an accelerator check themselves on a CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(name, folder, *arguments):
    command = [sys.executable, BENCHMARKS / f"{name}.py", *arguments]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["humanoid", "ant"])
def test_a_quick_run_of_each_side(name, tmp_path):
    if name == "ant":
        pytest.importorskip("evosax")
    done = run(name, tmp_path, "--quick")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ok"
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


@pytest.mark.parametrize("name", ["humanoid", "ant"])
def test_without_an_accelerator_nothing_is_run(name, tmp_path):
    done = run(name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "wants an accelerator" in done.stdout
