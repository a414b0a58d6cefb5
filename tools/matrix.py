"""Run the tests on every pair of Python and JAX that jaxes promises: `make test-matrix`, `make test-newest`.

Each lane has an environment of its own in `.cache/matrix/`. Pythons are those that pyenv and PATH have, or those named
in PYTHONS, by spaces: `make test-matrix PYTHONS="python3.11 /opt/python3.12/bin/python3"`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".cache" / "matrix"
NEWEST = "newest"
# The core, low rank, a rollout.
FEW = [f"tests/test_{name}.py" for name in ("core", "lowrank", "noise", "private_names", "rl_episodes")]


class Lane(NamedTuple):
    python: str  # the version's first two numbers, or "newest"
    jax: str  # the version, or "newest": what the registry gives


LANES = (Lane("3.11", "0.10.2"), Lane("3.12", "0.11.2"), Lane(NEWEST, NEWEST))


def pythons() -> dict[tuple[int, int], str]:
    """Interpreters by version, of those that are named or found."""
    named = os.environ.get("PYTHONS", "").split()
    found = {}
    for candidate in named or _usual():
        path = shutil.which(candidate)
        if path is None:
            if named:
                sys.exit(f"PYTHONS names {candidate}, which is no program")
            continue
        code = "import sys; print(*sys.version_info[:2])"
        run = subprocess.run([path, "-c", code], capture_output=True, text=True)
        if run.returncode == 0:
            major, minor = map(int, run.stdout.split())
            found.setdefault((major, minor), path)
    return found


def _usual() -> list[str]:
    """Candidates: pyenv's interpreters, newest patches first, then what PATH has."""
    folders = [Path(os.environ["PYENV_ROOT"])] if "PYENV_ROOT" in os.environ else [Path.home() / ".pyenv"]
    number = lambda path: [int(part) if part.isdigit() else 0 for part in path.parents[1].name.split(".")]
    inside = sorted((p for folder in folders for p in folder.glob("versions/3.*/bin/python")), key=number, reverse=True)
    return [*map(str, inside), *(f"python3.{minor}" for minor in range(20, 10, -1)), "python3"]


def environment(lane: Lane, found: dict[tuple[int, int], str]) -> Path | None:
    """The folder of a lane's environment, made if it is not there; None if its Python is missing."""
    version = max(found) if lane.python == NEWEST else tuple(map(int, lane.python.split(".")))
    if version not in found or version < (3, 11):
        return None
    folder = HOME / f"python{version[0]}.{version[1]}-jax-{lane.jax}"
    done = folder / ".installed"
    wanted = (ROOT / "pyproject.toml").read_text() + (ROOT / "constraints.txt").read_text()
    if done.exists() and done.read_text() == wanted:
        return folder
    subprocess.run([found[version], "-m", "venv", "--clear", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    if lane.jax == NEWEST:
        held = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["held"]
        subprocess.run([*pip, "--editable", ROOT, "--group", f"{ROOT / 'pyproject.toml'}:test"], check=True)
        # Packages that ask for an older JAX, beside the newest one.
        subprocess.run([*pip, "--no-deps", *held], check=True)
    else:
        constraints = ["--constraint", ROOT / "constraints.txt", f"jax=={lane.jax}"]
        group = ["--group", f"{ROOT / 'pyproject.toml'}:dev"]
        subprocess.run([*pip, *constraints, "--editable", ROOT, *group], check=True)
    done.write_text(wanted)
    return folder


def tested(folder: Path, arguments: list[str]) -> bool:
    """Whether the tests pass in an environment."""
    python = folder / "bin" / "python"
    code = "import sys, jax; print(f'Python {sys.version.split()[0]}, jax {jax.__version__}')"
    subprocess.run([python, "-c", code], check=True)
    cache = {"JAX_COMPILATION_CACHE_DIR": str(HOME / f"{folder.name}-programs")}
    return subprocess.run([python, "-m", "pytest", *arguments], cwd=ROOT, env=os.environ | cache).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--newest", action="store_true", help="only the newest Python and JAX, and a few tests")
    parser.add_argument("arguments", nargs="*", help="for pytest, in place of the usual ones")
    options = parser.parse_args()
    found = pythons()
    if not found:
        sys.exit("no Python found; name some in PYTHONS")
    usual = ["-n", os.environ.get("WORKERS", "2"), "-m", "not slow"]
    failed = []
    for lane in LANES[-1:] if options.newest else LANES:
        folder = environment(lane, found)
        if folder is None:
            failed.append(f"Python {lane.python} is missing")
        elif not tested(folder, options.arguments or [*usual, *(FEW if options.newest else [])]):
            failed.append(f"tests failed in {folder.relative_to(ROOT)}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
