"""Write the README's table of figures from benchmarks/results/*.json.

python benchmarks/_figures.py
"""

import json
import pathlib

ROOT = pathlib.Path(__file__).parent.parent
# What a script's own names leave out.
ABOUT = {"tetris": "Tetris: ", "cyclic_mdp": "CyclicMDP, "}
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def rows() -> list[tuple[str, str, str]]:
    """(what, measured, asked), from all results that there are."""
    out = []
    results = {path.stem: json.loads(path.read_text()) for path in (ROOT / "benchmarks/results").glob("*.json")}
    for env, figure in results.get("train", {}).items():
        if env == "machine":
            continue
        bound, runs = figure["bound"], figure["runs"]
        scores = ", ".join(f"{run['evaluation']:.0f} in {run['training_seconds']:.0f} s" for run in runs)
        wanted = f"{bound['evaluation']} in {bound['training_seconds']} s"
        out.append((f"`make train` of {env}, seeds 0-{len(runs) - 1}: evaluation, training seconds", scores, wanted))
    for name in (
        "core",
        "strategies",
        "rollout",
        "rollout_memory",
        "host",
        "lowrank",
        "scaling",
        "tetris",
        "planning",
        "cyclic_mdp",
        "supervised",
    ):
        out += [
            (ABOUT.get(name, "") + what.replace("they ", "rows above the board "), f"{row['measured']:.3g}", asked(row))
            for what, row in results.get(name, {}).get("bounds", {}).items()
        ]
    for part in ("D=5", "D=10", "D=20"):
        cases = results.get("bbob", {}).get("parts", {}).get(part, {})
        ratios = [row["ratio"] for name, row in cases.items() if name.startswith("f")]
        if ratios and all(ratios):
            what = f"BBOB f1 2 5 6 8-14, {part}, to 1e-8: largest running time of `cma_es` / pycma's"
            out.append((what, f"{max(ratios):.2f}", "1.25; f12, f13: 1.5" if part == "D=5" else "1.3"))
    return out


def asked(row: dict) -> str:
    if "at_most" in row and "at_least" in row:
        return f"{row['at_least']:g} to {row['at_most']:g}"
    return f"at most {row['at_most']:g}" if "at_most" in row else f"at least {row['at_least']:g}"


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text()
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    lines = ["| what | measured | asked |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows())]
    readme.write_text("\n".join([head + BEGIN, *lines, END]) + tail)


if __name__ == "__main__":
    main()
