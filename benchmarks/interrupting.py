"""Ctrl-C while a run has nothing to save yet: seconds until the command line has given the prompt back.

`jaxes bench interrupting` starts `jaxes train`, presses Ctrl-C so many seconds after the folder was made, while the run
is traced and compiled (no cache on disk is used), and measures how long the process lives on. Writes
results/interrupting.json.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _measure

MOMENTS = (0.2, 1.0, 3.0, 8.0)


def pressed(env: str, moment: float) -> tuple[float, int]:
    """Seconds from Ctrl-C to the end of the process, and its exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        command = [sys.executable, "-m", "jaxes", "train", env, "--seconds", "600", "--out", folder]
        own = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=own) as process:
            while not (folder / "config.json").exists():
                time.sleep(0.01)
            time.sleep(moment)
            process.send_signal(signal.SIGINT)
            began = time.perf_counter()
            code = process.wait()
            return time.perf_counter() - began, code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="brax/ant")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    rows = []
    for moment in MOMENTS:
        ends = [pressed(args.env, moment) for _ in range(args.repeats)]
        took = [seconds for seconds, _ in ends]
        codes = sorted({code for _, code in ends})
        rows.append({"pressed_after": moment, "median": statistics.median(took), "max": max(took), "exit_codes": codes})
        print(
            f"after {moment:4.1f} s: median {rows[-1]['median']:.2f} s, at most {max(took):.2f} s, exit codes {codes}"
        )
    print(_measure.save("interrupting", {"env": args.env, "repeats": args.repeats, "moments": rows}))


if __name__ == "__main__":
    main()
