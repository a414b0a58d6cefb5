"""The proof: every strategy beside its reference and beside evosax. Writes results/correctness.json, .png and docs.

`jaxes bench correctness` or python benchmarks/correctness.py; docs/correctness.md is made from the JSON alone
(`--document`). What is measured is defined in tests/proof.py.
"""

import argparse
import functools
import inspect
import multiprocessing
import pathlib
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import _measure
import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def peer_curves(name: str, function: str) -> np.ndarray | None:
    """evosax's best values so far, with the same population, start and step size; None where it cannot run."""
    import jax
    import jax.numpy as jnp
    import optax
    import proof
    from evosax.algorithms import algorithms
    from evosax.algorithms.population_based.base import PopulationBasedAlgorithm

    setting = proof.SETTINGS[name]
    make = functools.partial(algorithms[setting.peer], setting.size)
    parameters = inspect.signature(algorithms[setting.peer].__init__).parameters
    options = {}
    if "std_schedule" in parameters:
        options["std_schedule"] = lambda _: setting.sigma
    if "optimizer" in parameters and "learning_rate" in setting.options:
        rate = setting.options["learning_rate"]
        options["optimizer"] = optax.sgd(rate) if setting.peer == "ARS" else optax.adam(rate)
    if "sampling_fn" in parameters:
        options["sampling_fn"] = lambda key: setting.sigma * jax.random.normal(key, (proof.N,)) + proof.START
    with jax.enable_x64(True):
        peer = make(jnp.zeros(proof.N), **options)
        params = peer.default_params
        if hasattr(params, "std_init"):
            params = params.replace(std_init=setting.sigma)
        f, start = proof.FUNCTIONS[function], jnp.asarray(proof.START)

        def run(key):
            first, init_key = jax.random.split(key)
            if isinstance(peer, PopulationBasedAlgorithm):
                population = start + setting.sigma * jax.random.normal(first, (setting.size, proof.N))
                state = peer.init(init_key, population, jax.vmap(f)(population), params)
            else:
                state = peer.init(init_key, start, params)

            def step(state, key):
                ask, tell = jax.random.split(key)
                population, state = peer.ask(ask, state, params)
                values = jax.vmap(f)(population)
                state, _ = peer.tell(tell, population, values, state, params)
                return state, jnp.min(jnp.where(jnp.isnan(values), jnp.inf, values))

            keys = jax.random.split(key, setting.budget // setting.size)
            return jax.lax.cummin(jax.lax.scan(step, state, keys)[1])

        return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(1), proof.SEEDS)))


def measure(name: str) -> dict:
    """Everything about one strategy."""
    import proof

    began, setting, rows = time.perf_counter(), proof.SETTINGS[name], {}
    median = lambda best, target: float(np.median(proof.evaluations(best, target, setting.size)))
    for function in proof.FUNCTIONS:
        theirs = proof.curves_of_reference(name, function)
        best = proof.curves(name, function)
        target = proof.common_target(theirs)
        row = {"target": target}
        if target is not None:
            row |= {"reference": median(theirs, target), "jaxes": median(best, target)}
        if setting.peer:
            try:
                other = peer_curves(name, function)
                row["evosax"] = None if target is None else median(other, target)
            except Exception as error:
                row["evosax error"] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        rows[function] = {key: None if value == np.inf else value for key, value in row.items()}
    figures = {"source": setting.source, "peer": setting.peer, "size": setting.size, "evaluations": rows}
    if setting.searches:
        figures["drift"] = proof.drift(name)._asdict()
    figures["NaN"] = failures(name)
    figures["invariance"] = proof.invariance(name)._asdict()
    figures["seconds"] = round(time.perf_counter() - began, 1)
    return figures


def failures(name: str) -> dict:
    """What members that give NaN cost a strategy on the sphere."""
    import proof

    setting = proof.SETTINGS[name]
    clean, broken = (proof.with_failures(name, share, setting.budget // setting.size)[0] for share in (0.0, 0.1))
    target = proof.common_target(clean)
    needed = [np.median(proof.evaluations(best, target, setting.size)) for best in (clean, broken)]
    _, finite = proof.with_failures(name, 0.5, 1000)
    return {
        "target": target,
        "runs": len(clean),
        "cost of 10 %": float(needed[1] / needed[0]),
        "finite after 1000 generations of 50 %": bool(finite.all()),
    }


def document(figures: dict) -> str:
    """docs/correctness.md."""
    rows = figures["strategies"]
    functions = list(next(iter(rows.values()))["evaluations"])
    lines = [
        "# Correctness",
        "",
        "Made by `jaxes bench correctness` from `benchmarks/results/correctness.json`; nothing here is typed by hand.",
        "",
        "Every strategy is held against an independent reference: a NumPy transcription of its paper's pseudo-code in "
        "`tests/references/` (or the package named), which is fed the same noise step by step in the tests, and run "
        "here with random numbers of its own.",
        "",
        f"## Evaluations to a target, {figures['what']}",
        "",
        "The target is the smallest power of ten that 12 of the reference's 15 runs reach within 20,000 evaluations. "
        "Each cell: jaxes / reference / evosax (medians of 15 seeds; `-` where a side did not get there or has no such "
        "strategy). Where the target is coarse the search crawls on that function, and medians vary with the seeds.",
        "",
        "| strategy | population | " + " | ".join(functions) + " |",
        "|---|---|" + "---|" * len(functions),
    ]
    count = lambda value: "-" if value is None else f"{value:,.0f}"
    for name, row in rows.items():
        cells = []
        for function in functions:
            cell = row["evaluations"][function]
            if cell["target"] is None:
                cells.append("-")
                continue
            sides = " / ".join(count(cell.get(side)) for side in ("jaxes", "reference", "evosax"))
            cells.append(f"{cell['target']:.0e}: {sides}")
        lines.append(f"| `{name}` | {row['size']} | " + " | ".join(cells) + " |")
    errors = {
        row["peer"]: cell["evosax error"]
        for row in rows.values()
        for cell in row["evaluations"].values()
        if "evosax error" in cell
    }
    if errors:
        lines += ["", "evosax raised here: " + "; ".join(f"`{name}`: {text}" for name, text in errors.items()) + "."]
    lines += [
        "",
        "`pes`, `nres` (on problems that unroll piece by piece: unbiased where truncated `open_es` is not), "
        "`sv_open_es` and `sv_cma_es` (particles that repel each other) are proved in "
        "`tests/strategies/`.",
        "",
        "![Evaluations of jaxes and evosax over those of the reference](../benchmarks/results/correctness.png)",
        "",
        "## Drift, invariance, failures",
        "",
        "- *mean*: drift of the mean along (1, ..., 1) under fitness that is noise, in standard errors "
        "(100 seeds of 1000 generations, n = 5; |.| below 3 is no drift).",
        "- *log sigma*: its drift a generation under the same. `cem` (no variance noise) and `iamalgam` refit to an "
        "elite and `rm_es` has a success rule that expects progress: all three shrink by design, as much as their "
        "references do (tests/test_proof.py).",
        "- *x 2^20*, *ranks*: whether 20 generations on Rosenbrock (on the sphere for `guided_es` and `asebo`, whose "
        "steps diverge there) end with the same bits when the fitness is multiplied by 2^20, or replaced by its ranks. "
        "Strategies that use values by design say no.",
        "- *moved by 8*: the largest difference in float64 when function and start are moved by 8 in every coordinate.",
        "- *10 % NaN*: evaluations to the target on the sphere where every tenth member fails, over those where none "
        "does; *50 % NaN*: whether everything is finite after 1000 generations in which every second one fails.",
        "",
        "| strategy | mean | log sigma | x 2^20 | ranks | moved by 8 | 10 % NaN | 50 % NaN |",
        "|---|---|---|---|---|---|---|---|",
    ]
    yes = lambda value: "same bits" if value else "no"
    for name, row in rows.items():
        drift, nan, same = row.get("drift"), row["NaN"], row["invariance"]
        mean, sigma = ("-", "-") if drift is None else (f"{drift['mean']:+.1f}", f"{drift['log_sigma']:+.4f}")
        cost = f"{nan['cost of 10 %']:.2f} x"
        finite = "finite" if nan["finite after 1000 generations of 50 %"] else "NOT finite"
        lines.append(
            f"| `{name}` | {mean} | {sigma} | {yes(same['scaled'])} | {yes(same['ranked'])} | "
            f"{same['translated']:.0e} | {cost} | {finite} |"
        )
    return "\n".join([*lines, "", *bbob_section()])


def bbob_section() -> list[str]:
    """BBOB beside pycma, from its own results."""
    kept = _measure.load("bbob")
    if not kept:
        return []
    lines = [
        "## BBOB",
        "",
        f"`jaxes.minimize_function` ({kept['what']}), and pycma from the same starts. Average running time = "
        "evaluations of all runs over the successes (successes in brackets); instances 1-15.",
        "",
    ]
    for part, rows in kept["parts"].items():
        cases = {name: row for name, row in rows.items() if name.startswith("f")}
        sides = [side for side in ("jaxes", "pycma") if side in next(iter(cases.values()))]
        lines += [f"### {part}", "", "| function | " + " | ".join(sides) + (" | ratio |" if len(sides) > 1 else " |")]
        lines.append("|---|" + "---|" * (len(sides) + (len(sides) > 1)))
        for name, row in cases.items():
            cells = [f"{row[s]['art']:,.0f} ({row[s]['solved']})" if row[s]["art"] else "- (0)" for s in sides]
            if len(sides) > 1:
                cells.append(f"{row['ratio']:.2f}" if row["ratio"] else "-")
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def draw(figures: dict) -> None:
    from matplotlib.figure import Figure

    rows = figures["strategies"]
    names = list(rows)
    figure = Figure(figsize=(9, 0.32 * len(names) + 1.5), layout="constrained")
    axes = figure.subplots()
    functions = list(next(iter(rows.values()))["evaluations"])
    for i, function in enumerate(functions):
        for side, fill in (("jaxes", f"C{i}"), ("evosax", "none")):
            points = [
                (row["evaluations"][function][side] / row["evaluations"][function]["reference"], y + 0.15 * (i - 1.5))
                for y, row in enumerate(rows.values())
                if row["evaluations"][function].get(side) and row["evaluations"][function].get("reference")
            ]
            x, y = zip(*points, strict=True) if points else ((), ())
            axes.scatter(x, y, s=22, facecolors=fill, edgecolors=f"C{i}", label=f"{side}, {function}")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("evaluations to the target / the reference's")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small", ncols=2, loc="best")
    figure.savefig(_measure.RESULTS / "correctness.png", dpi=110)


def main():
    import proof

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="strategies to measure again; the others keep their results")
    parser.add_argument("--failures", action="store_true", help="measure only what failing members cost again")
    parser.add_argument("--document", action="store_true", help="only draw and write the page from the results")
    options = parser.parse_args()
    kept = _measure.load("correctness").get("strategies", {})
    what = f"n = {proof.N}, start from 0.5 to 1.5, float64"
    if not options.document:
        names = [name for name in proof.SETTINGS if not options.only or name in options.only]
        with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
            for name, figures in zip(names, pool.map(failures if options.failures else measure, names), strict=True):
                kept[name] = {**kept[name], "NaN": figures} if options.failures else figures
                print(name, figures["cost of 10 %"] if options.failures else f"{figures['seconds']} s", flush=True)
                ordered = {name: kept[name] for name in proof.SETTINGS if name in kept}
                _measure.save("correctness", {"what": what, "strategies": ordered})
    figures = _measure.load("correctness")
    draw(figures)
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs/correctness.md").write_text(document(figures))


if __name__ == "__main__":
    main()
