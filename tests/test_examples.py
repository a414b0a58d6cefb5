"""The examples run as they stand."""

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_own_environment(capsys):
    path = EXAMPLES / "own_environment.py"
    assert len(path.read_text().splitlines()) <= 40
    names = runpy.run_path(str(path))
    lines = capsys.readouterr().out.splitlines()
    first, last = float(lines[0].split()[2]), float(lines[-1].split()[2])
    assert last > 100 > first, "it learns to stop at the flag"
    assert names["report"].generation == 12
