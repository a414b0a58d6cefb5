"""What there is: `jaxes envs`, `jaxes strategies` and `jaxes bench`."""

import subprocess
import sys
from pathlib import Path

import jaxes
from jaxes.cli.arguments import Bench, Envs, Strategies
from jaxes.support import checks
from jaxes.training import catalog


def bench(args: Bench) -> int:
    folder = Path(jaxes.__file__).parents[1] / "benchmarks"
    if not folder.is_dir():
        raise FileNotFoundError("benchmarks come with the source tree, not with the installed package: clone it first")
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    script = folder / f"{checks.choice('benchmark', args.name, names)}.py"
    return subprocess.run([sys.executable, script, *args.arguments], check=False).returncode


def envs(args: Envs) -> int:
    print(*catalog.environments(args.names), sep="\n")
    return 0


def strategies(args: Strategies) -> int:
    print(*catalog.strategies(args.names), sep="\n")
    return 0
