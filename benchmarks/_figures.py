"""Write docs/figures.md and the README's reasons from benchmarks/results/*.json, so that no measured figure is typed.

python benchmarks/_figures.py

What was asked, by whom, and why it is not met where it is not, stands in `_asked.py`; what was measured, in the JSON.
"""

import json
import statistics
import textwrap
from pathlib import Path
from typing import Any

from _asked import SECTIONS, Section, number, targets

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
PAGE, README = ROOT / "docs/figures.md", ROOT / "README.md"
BEGIN, END = "<!-- reasons: begin, made by benchmarks/_figures.py -->", "<!-- reasons: end -->"
LINE = 120

HEAD = """\
# Figures

What was asked of jaxes and by whom, what was measured, and the reason where a figure is not met. This page is made by
`python benchmarks/_figures.py` from `benchmarks/results/*.json`, which the scripts named below write together with the
machine and all versions; no measured figure is typed by hand. "a / b" is the ratio of a to b; the sides of a ratio of
times were run in turns in one process. The machines are shared: times vary by some percent from day to day, and how
many times as fast one program a lane is by up to a half.

**{met} of {all} figures are met.** "Our goal" is a bound that we have set ourselves; every other name is that of the
paper or the package that a figure is held against.
"""

REASONS = (
    "**Low-rank populations: a thousand networks at about the price of one.** Members may differ from each other by "
    "matrices of rank 1 only, and any Flax model runs that way as it is. 1024 networks of width 256 then answer at "
    "**{forward} % of the speed** of one network that is given as many inputs, and their generation takes "
    "**{lowrank_time} times less time and {lowrank_memory} times less memory** than with evosax's `Open_ES`, whose "
    "members are of full rank ({lowrank}).",
    "**Refilled lanes: no step is wasted.** A lane plays the next member as soon as an episode ends, so the number of "
    "lanes, not the population, bounds the memory. 1024 untrained hoppers take **{refill} times less time** than if "
    "all were stepped to the time limit side by side ({rollout}), and a rollout of 256 ants takes **{ant_memory} times "
    "less memory** than in evosax's problem ({rollout_memory}).",
    "**Physics at the speed of the machine.** On CPUs an environment's step is one program for all lanes, compiled by "
    "LLVM. A generation of 64 policies on Brax's hopper, ant and halfcheetah takes **{brax_least} to {brax_most} times "
    "less time** than in Brax's own ES trainer and {evosax_least} to {evosax_most} times less than in evosax "
    "({lanewise}); `jaxes train` takes the hopper to a score of 1,800 in **{hopper_seconds} seconds** from the start "
    "of the process, the median of five seeds ({train}).",
    "**The same bits anywhere.** In strict mode, 40 generations of brax/hopper and of brax/ant end with **the same "
    "bits in {ways} different runs**: by `jit` and by `pmap`, on 1, 2, 4 and 8 devices, in two processes, and "
    "stopped on four devices and continued on two. Strict mode takes {hopper} % longer on hopper and {ant} % longer on "
    "ant ({scaling}).",
    "**Proved strategies.** They are held against independent transcriptions of their papers, and `cma_es` against "
    "pycma. jaxes reaches **{ours} of the {ours_all} targets** that these references reach; evosax reaches {theirs} of "
    "the {theirs_all} whose strategies it has, from the same starts with the same populations and step sizes "
    "({correctness}). On eleven BBOB functions of five variables, `cma_es` with restarts needs at most **{pycma} "
    "times** the evaluations of pycma ({bbob}).",
)


def load() -> dict[str, dict[str, Any]]:
    """All results, by the names of their scripts."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def made_on(results: dict[str, Any]) -> str:
    """When and on what a script's results were measured."""
    machine = results["machine"]
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    card = "" if machine["backend"] == "cpu" else f"{machine['device']}, "
    return f"{machine['date']}, {card}{cores} of {machine['cpu']}, JAX {machine['jax']}"


def section(section: Section, results: dict[str, Any]) -> str:
    """A section of the page."""
    about = f"`benchmarks/{section.script}.py`, {made_on(results)}. {section.about}".rstrip()
    lines = [
        f"## {section.title}",
        "",
        about,
        "",
        "| figure | asked | measured | met | if not, why |",
        "|---|---|---|---|---|",
    ]
    for row in section.rows:
        value = row.value(results)
        met, why = ("yes", "") if row.asked.met(value) else ("**no**", row.why)
        lines.append(f"| {row.what} | {row.asked} | {number(value)} | {met} | {why} |")
    return "\n".join(lines)


def page(results: dict[str, dict[str, Any]]) -> str:
    """docs/figures.md."""
    met = [row.asked.met(row.value(results[part.script])) for part in SECTIONS for row in part.rows]
    head = HEAD.format(met=sum(met), all=len(met))
    return "\n\n".join([head.rstrip(), *(section(part, results[part.script]) for part in SECTIONS)]) + "\n"


def facts(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the README's reasons say."""
    bound = lambda script, name: results[script]["bounds"][name]["measured"]
    generation = "generation, width 256, 1024 members: evosax's {} / ours"
    ant = "memory of an ant rollout, 256 members x 1000 steps, evosax / jaxes"
    strict = {env: bound("scaling", f"brax/{env}: time of strict mode / default") for env in ("hopper", "ant")}
    runs = [list(ways.values()) for ways in results["scaling"]["figures"]["bits"].values()]
    assert all(len(set(digests)) == 1 for digests in runs), "the same bits: that reason does not hold any more"
    (ours, ours_all), (theirs, theirs_all) = (targets(results["correctness"], side) for side in ("jaxes", "evosax"))
    brax, evosax = (
        [bound("lanewise", f"generation, {env}: {side} / ours") for env in ("hopper", "ant", "halfcheetah")]
        for side in ("time of Brax's ES trainer", "evosax's time")
    )
    forward = bound("lowrank", "forward, width 256, 1024 members: one model's time / the population's")
    hopper = [run["process_seconds"] for run in results["train"]["brax/hopper"]["runs"]]
    return {
        "forward": f"{100 * forward:.0f}",
        "lowrank_time": f"{bound('lowrank', generation.format('time')):.0f}",
        "lowrank_memory": f"{bound('lowrank', generation.format('memory')):.0f}",
        "refill": f"{bound('rollout', 'hopper, 1024 members, 1000 steps: scan / refill'):.1f}",
        "ant_memory": f"{bound('rollout_memory', ant):.0f}",
        **{"brax_least": f"{min(brax):.0f}", "brax_most": f"{max(brax):.0f}"},
        **{"evosax_least": f"{min(evosax):.0f}", "evosax_most": f"{max(evosax):.0f}"},
        "hopper_seconds": f"{statistics.median(hopper):.0f}",
        "ways": min(map(len, runs)) - 1,  # two of the digests are those of the processes of one run
        **{env: f"{100 * (ratio - 1):.0f}" for env, ratio in strict.items()},
        **{"ours": ours, "ours_all": ours_all, "theirs": theirs, "theirs_all": theirs_all},
        "pycma": f"{max(row['ratio'] for name, row in results['bbob']['parts']['D=5'].items() if name[0] == 'f'):.2f}",
    }


def reasons(results: dict[str, dict[str, Any]]) -> str:
    """The README's reasons, a numbered list."""
    scripts = {name: f"[benchmarks/{name}.py](benchmarks/{name}.py)" for name in results}
    values = {**scripts, **facts(results)}
    fill = lambda number, text: textwrap.fill(
        f"{number}. {text.format(**values)}",
        LINE,
        subsequent_indent="   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(fill(number, text) for number, text in enumerate(REASONS, 1))


def readme(text: str, results: dict[str, dict[str, Any]]) -> str:
    """The README with its reasons made anew."""
    head, rest = text.split(BEGIN)
    return "\n".join([head + BEGIN, reasons(results), END + rest.split(END)[1]])


def main() -> None:
    results = load()
    PAGE.write_text(page(results))
    README.write_text(readme(README.read_text(), results))


if __name__ == "__main__":
    main()
