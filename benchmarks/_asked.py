"""What was asked of jaxes, by whom, where the measured figure stands in results/*.json, and why it is not met.

`SECTIONS` is the table that `_figures.py` makes docs/figures.md of.
"""

import fnmatch
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


def number(value: float) -> str:
    """Three significant digits, four of a thousand and more; whole numbers as they are."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    digits = 4 if abs(value) >= 1000 else 3
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.{digits}g}"


class Asked(NamedTuple):
    """Bounds that a figure should lie between, and whose they are."""

    least: float
    most: float
    by: str

    def __str__(self) -> str:
        if self.least == -math.inf:
            bounds = f"at most {number(self.most)}"
        elif self.most == math.inf:
            bounds = f"at least {number(self.least)}"
        else:
            bounds = f"{number(self.least)} to {number(self.most)}"
        return f"{bounds} ({self.by})"

    def met(self, measured: float) -> bool:
        """Whether a figure lies between them."""
        return self.least <= measured <= self.most


def at_least(bound: float, by: str) -> Asked:
    """The larger the better."""
    return Asked(bound, math.inf, by)


def at_most(bound: float, by: str) -> Asked:
    """The smaller the better."""
    return Asked(-math.inf, bound, by)


# A name under "bounds" of a script's results, "*" for a part that differs from run to run, or how to find a figure.
Measured = str | Callable[[dict[str, Any]], float]


class Row(NamedTuple):
    """A figure that was asked for."""

    what: str
    asked: Asked
    measured: Measured
    why: str = ""  # it is not met

    def name(self, results: dict[str, Any]) -> str | None:
        """Its name under "bounds" of the script's results, if it is there."""
        if callable(self.measured):
            return None
        (name,) = fnmatch.filter(results["bounds"], self.measured)
        return name

    def value(self, results: dict[str, Any]) -> float:
        """What was measured, from the script's results."""
        if callable(self.measured):
            return float(self.measured(results))
        return float(results["bounds"][self.name(results)]["measured"])


class Section(NamedTuple):
    """Figures of one script."""

    title: str
    script: str
    rows: tuple[Row, ...]
    about: str = ""


OWN = "our goal"
SALIMANS = "Salimans et al. 2017"
EVOSAX = "evosax"


def lanewise() -> Iterable[Row]:
    """One program a lane."""
    row = lambda name, asked, why="": Row(f"brax: {name}" if "/" not in name.split(":")[0] else name, asked, name, why)
    kinds = ("hopper", "walker2d", "halfcheetah", "ant", "humanoid", "inverted_pendulum")
    for kind, lanes in itertools.product(kinds, (64, 512)):
        least = 3 if kind in ("humanoid", "inverted_pendulum") else 5
        yield row(f"{kind}, {lanes} lanes: steps a second / vmap's", at_least(least, OWN))
        yield row(f"{kind}, {lanes} lanes: seconds to compile / vmap's", at_most(2 if kind == "humanoid" else 1.5, OWN))
    rounding = "float32 itself: a step by vmap is as far from the same step in float64"
    contact = "a contact begins or does not: `vmap` differs as much from itself if a state is moved by 3e-7"
    for kind in kinds:
        why = {"humanoid": rounding, "halfcheetah": contact}.get(kind, "")
        yield row(f"{kind}: largest difference in 10 steps from 100 states", at_most(1e-4, OWN), why)
    for kind in ("hopper", "ant", "halfcheetah"):
        yield row(f"{kind}: mean returns of 512 policies, apart / standard error", at_most(1, OWN))
        for hidden in ("32-32", "64-64"):
            yield row(f"generation, {kind}, {hidden}: vmap's time / ours", at_least(5, OWN))
        yield row(f"generation, {kind}: evosax's time / ours", at_least(5, f"{OWN}, beside evosax"))
        yield row(f"generation, {kind}: time of Brax's ES trainer / ours", at_least(5, f"{OWN}, beside Brax"))
    for name in ("gymnax/CartPole-v1", "jaxes/CyclicMDP"):
        yield row(f"{name}: a generation's time / vmap's", at_most(1.03, OWN))


def card() -> Iterable[Row]:
    """One program a lane on a card."""
    strict = "that kernel takes 0 * x for 0; ours looks whether x was finite, and computes a lane anew where it was not"
    for name in ("hopper", "ant"):
        for what, how in (("kernel", ""), ("fast", ", fast mathematics")):
            text = f"brax/{name}, 8192 lanes{how}: time of a step in a scan / a bare kernel outside JAX"
            yield Row(text, at_most(1.2, OWN), f"{name}, 8192 lanes: a step, {what} / a bare kernel's", strict)
    speeds = {"ant, 32 x 4, 8192 lanes": 15e6, "hopper, 32-32, 65536 lanes": 150e6}
    for name, least in speeds.items():
        key = f"generation, {name}: steps a second"
        yield Row(
            f"brax, {key}",
            at_least(least, OWN),
            key,
            "three quarters of a step are the kernel; the rest are policies, the normalizer and launches",
        )


def lowrank() -> Iterable[Row]:
    """Populations of low rank."""
    again = (
        "half of the gap is reading the activations once more; other layouts, and members in chunks, did not close it"
    )
    for width, least in ((256, 0.9), (1024, 0.95)):
        yield Row(
            f"speed of a forward pass of 1024 members of width {width}, as a share of one unperturbed model's",
            at_least(least, OWN),
            f"forward, width {width}, 1024 members: one model's time / the population's",
            again if width == 1024 else "",
        )
    for what, width, least in (("time", 64, 8), ("time", 256, 20), ("memory", 256, 40)):
        key = f"generation, width {width}, 1024 members: evosax's {what} / ours"
        yield Row(
            f"{what} of a generation of 1024 members of width {width}: evosax, full rank / jaxes, rank 1",
            at_least(least, f"{OWN}, beside evosax"),
            key,
        )
    for what, least in (("time", 2), ("memory", 40)):
        key = f"streaming, 1000000 parameters, 128 members: {what} of noise held whole / ours"
        yield Row(
            f"{what} of 128 members of a million parameters, full rank: all noise held at once / in blocks",
            at_least(least, OWN),
            key,
        )
    yield Row("time to draw normal factors / signs", at_least(10, OWN), "time to draw normal factors / signs")
    yield Row(
        "milliseconds that tracing and compiling takes beyond plain `jit`",
        at_most(100, OWN),
        "interpreter, ms of tracing and compiling beyond jit",
    )


def host() -> Iterable[Row]:
    """The engine for environments that run on CPUs."""
    sync = (
        "MuJoCo's own `mj_step` is about two thirds of SyncVectorEnv's time a step, so that no engine that calls it on "
        "two cores can be much faster than this"
    )
    for env, least, why in (("HalfCheetah-v5", 4, sync), ("Ant-v5", 2, "")):
        name = f"{env}: jaxes / SyncVectorEnv"
        yield Row(
            f"{env}, steps a second: jaxes / gymnasium's SyncVectorEnv",
            at_least(least, f"{OWN}, beside gymnasium"),
            name,
            why,
        )
    for env in ("HalfCheetah", "Hopper", "Ant", "Humanoid", "InvertedPendulum"):
        what = f"{env}-v5, steps a second: jaxes / gymnasium's AsyncVectorEnv"
        yield Row(what, at_least(2, f"{OWN}, beside gymnasium"), f"{env}-v5: jaxes / AsyncVectorEnv")
        what = f"{env}-v5: share of the time that the policy takes"
        yield Row(what, at_most(0.1, OWN), f"{env}-v5: policy's share of the time")
    env = "InvertedPendulum-v5"
    yield Row(
        f"{env}, steps a second: jaxes / EnvPool, which gives the same bits here",
        at_least(1, "EnvPool"),
        f"{env}: jaxes / EnvPool",
    )
    yield Row(
        "HalfCheetah-v5, steps a second: a Ray cluster on this machine / worker processes",
        at_least(0.9, OWN),
        "HalfCheetah-v5: a Ray cluster of this machine / the local engine",
    )
    yield Row("seconds until the workers are ready", at_most(5, OWN), "seconds until workers are ready")
    yield Row(
        "Hopper-v5, 1024 members: share of the time that workers are idle",
        at_most(0.1, OWN),
        "Hopper-v5, 1024 members: idle share of the workers",
    )


def planar() -> Iterable[Row]:
    """Worlds in the plane."""
    iterations = "by the 180 and 60 iterations of the solver that gymnasium takes; by 60 and 20 it is well above"
    name = "walker: steps a second of a generation"
    yield Row("jaxes/BipedalWalker, steps a second of a generation", at_least(150_000, OWN), name, iterations)
    yield Row(
        "the same / EnvPool's walker in C++, by its fastest settings of 14",
        at_least(3, f"{OWN}, beside EnvPool"),
        f"{name} / EnvPool's",
        "as above",
    )
    yield Row(
        "steps alone: jaxes / jax2d, the same bodies and as many iterations, 256 worlds",
        at_least(100, f"{OWN}, beside jax2d"),
        "walker: steps a second of steps alone, as many iterations / jax2d's",
    )


def transfer() -> Iterable[Row]:
    """Policies of the planar worlds in gymnasium's Box2D."""
    for name, judged, score in (
        ("LunarLander", "LunarLander-v3", 200),
        ("LunarLanderContinuous", "LunarLanderContinuous-v3", 200),
        ("BipedalWalker", "BipedalWalker-v3", 300),
    ):
        yield Row(
            f"a policy of jaxes/{name} in gymnasium's {judged}: mean of 100 episodes",
            at_least(score, "gymnasium's threshold"),
            f"jaxes/{name}: mean of 100 episodes in gymnasium's {judged}",
        )


def lander() -> Iterable[Row]:
    """gymnasium's heuristic in our lander."""
    theirs = "in gymnasium itself it lands a little less often"
    for way in ("discrete", "continuous"):
        yield Row(
            f"jaxes/LunarLander, {way}: share of 100 episodes in which gymnasium's heuristic scores above 200",
            at_least(0.95, OWN),
            f"lander, {way}: share of landings above 200",
            theirs if way == "discrete" else "",
        )


def salimans() -> Iterable[Row]:
    """Table 3 of Salimans et al. 2017."""
    table = f"{SALIMANS}, Table 3"
    for env, steps, score, seconds in (
        ("InvertedPendulum", "0.455M", 1000.0, 20),
        ("Swimmer", "1.39M", 128.25, 120),
        ("HalfCheetah", "2.88M", 2385.79, 180),
        ("InvertedDoublePendulum", "5.39M", 9104.07, 360),
    ):
        key = f"{env}-v5: mean of 6 seeds by {steps} steps"
        yield Row(f"{env}-v5: mean score of six seeds by {steps} steps", at_least(score, table), key)
        key = f"{env}-v5: seconds of the longest run"
        yield Row(f"{env}-v5: seconds of the longest run", at_most(seconds, OWN), key)
    for env, steps, score, minutes in (("Hopper", "31.6M", 3403.46, "ten"), ("Walker2d", "37.9M", 3830.03, "three")):
        yield Row(
            f"{env}-v5: best score of one seed by {steps} steps",
            at_least(score, table),
            lambda results, env=env: max(run["best"] for run in results["runs"][f"{env}-v5"].values()),
            f"the run was ended after {minutes} minutes, long before the paper's number of steps, while it was rising",
        )


def scaling() -> Iterable[Row]:
    """Any number of devices."""
    kinds = {"gaussian": "Gaussian", "low_rank": "low-rank"}
    for env, (kind, words) in itertools.product(("hopper", "ant"), kinds.items()):
        yield Row(
            f"brax/{env}, {words} noise: different results of 40 generations in eight runs",
            at_most(1, OWN),
            f"brax/{env}, {kind}: different digests over 9 ways",
        )
    for env in ("hopper", "ant"):
        yield Row(
            f"brax/{env}: time in strict mode / default",
            at_most(1.15, OWN),
            f"brax/{env}: time of strict mode / default",
        )
    yield Row(
        "brax/halfcheetah, 512 members on 64 lanes: time in two blocks / in one",
        at_most(1.03, OWN),
        "brax/halfcheetah, 512 members on 64 lanes: time of 2 blocks / 1",
        "within the noise of the measurement: another run was below the bound",
    )
    for parameters in (296, 6472):
        yield Row(
            f'bytes that a member of {parameters:,} parameters sends where `comm="scalars"`',
            at_most(16, OWN),
            f"bytes sent a member, scalars, {parameters} parameters",
        )


def tetris() -> Iterable[Row]:
    """Cross-entropy with noise on Tetris."""
    published = "the curves of Thiery & Scherrer 2009"
    unknown = "the search without noise plays better than the published one; the cause is not known"
    for rule, words in (("they end the game", "ends the game"), ("they go", "is cleared")):
        about = f"a full row above the board {words}: "
        for t, low, high in ((10, 100, 1_000), (20, 500, 25_000), (40, 2_000, 110_000)):
            key = f"{rule}: rows with constant noise, generation {t}"
            yield Row(f"{about}median rows, constant noise, generation {t}", Asked(low, high, published), key)
        key = f"{rule}: rows without noise, generation 40"
        yield Row(f"{about}median rows, no noise, generation 40", at_most(1_000, published), key, unknown)
        key = f"{rule}: with constant noise / without, generation 40"
        yield Row(f"{about}rows with constant noise / without", at_least(50, published), key, unknown)
    yield Row("placements a second", at_least(150_000, OWN), "placements a second")
    key = "placements a second / jumanji's"
    yield Row("placements a second: jaxes / jumanji", at_least(20, f"{OWN}, beside jumanji"), key)


def curves() -> Iterable[Row]:
    """Learning beside evosax."""
    sides = {
        "evosax": "evosax with its documented settings",
        "evosax, numbers of jaxes": "evosax with the settings of jaxes",
    }
    for env, (side, words) in itertools.product(("hopper", "halfcheetah", "ant"), sides.items()):
        yield Row(
            f"brax/{env}, when the first of both runs ends: score of jaxes - that of {words}",
            at_least(0, EVOSAX),
            f"brax/{env} after * s: score of jaxes - that of {side}",
        )


def trained() -> Iterable[Row]:
    """`make train`."""
    asked = {
        "brax/inverted_pendulum": (950, 12),
        "brax/hopper": (1800, 60),
        "brax/halfcheetah": (2000, 180),
        "brax/walker2d": (1000, 180),
        "jaxes/LunarLander": (200, 60),
        "jaxes/BipedalWalker": (300, 600),
    }
    score_of = lambda run: run["evaluation"] if run["confirmation"] is None else run["confirmation"]
    for env, (score, seconds) in asked.items():
        worst = lambda results, env=env: min(score_of(run) for run in results[env]["runs"])
        median = lambda results, env=env: results[env]["median_training_seconds"]
        what = f"`make train ENV={env} ARGS='--target {score}'`"
        yield Row(f"{what}: score of the worst seed on fresh episodes", at_least(score, OWN), worst)
        yield Row(f"{what}: seconds to it, compiling included, the median of the seeds", at_most(seconds, OWN), median)


def minimize() -> Iterable[Row]:
    """`minimize_function` beside pycma's `fmin2`."""
    row = lambda name, asked: Row(name, asked, name)
    beside = f"{OWN}, beside pycma"
    yield row("Rosenbrock, n = 10: evaluations / pycma's", at_most(1.1, beside))
    calls = (("Rosenbrock, n = 10", 1.0, 0.5), ("Rastrigin, n = 5, IPOP", 1.0, 1.0))
    for name, first, later in calls:
        yield row(f"{name}: seconds of a first call / pycma's", at_most(first, beside))
        yield row(f"{name}: seconds of a later call / pycma's", at_most(later, beside))
    yield row("ellipsoid, n = 100: seconds of a later call / pycma's", at_most(0.3, beside))
    for name, n in itertools.product(("mixed sphere", "mixed ellipsoid", "one-max"), (5, 10, 20)):
        yield row(f"{name}, n = {n}: solved - pycma's", at_least(0, beside))
        yield row(f"{name}, n = {n}: evaluations / pycma's", at_most(1.2, beside))
    yield row("results whose x has another value than they say", at_most(0, OWN))
    for name in ("cma_es", "xnes"):
        yield row(f"1000 searches, {name}: programs compiled after the first", at_most(0, OWN))
        yield row(f"1000 searches, {name}: MiB from search 100 on", at_most(5, OWN))


def noisy() -> Iterable[Row]:
    """Noisy functions, beside pycma's noise handler."""
    for name, budget in itertools.product(("sphere", "ellipsoid"), (3000, 10000, 30000)):
        key = f"noisy {name}, {budget} evaluations: distance / pycma's"
        yield Row(key, at_most(1.2, f"{OWN}, beside pycma"), key)


def constrained() -> Iterable[Row]:
    """Constraints, beside pycma's `fmin_con2`."""
    for name in ("g06", "g07", "g09", "sphere, one of ten", "sphere, five of ten"):
        yield Row(f"{name}: seeds of 15 within 1e-4", at_least(15, OWN), f"{name}: seeds within 1e-4")
        key = f"{name}: evaluations to 1e-4 / pycma's"
        yield Row(key, at_most(1, "pycma"), key)


def bbob() -> Iterable[Row]:
    """`cma_es` with restarts beside pycma."""
    hard = {"f12", "f13"}
    easy = {f"f{i}" for i in (1, 2, 5, 6, 8, 9, 10, 11, 14)}
    cases = "f1 2 5 6 8-11 14"

    def worst(part: str, names: set[str]) -> Callable[[dict[str, Any]], float]:
        return lambda results: max(results["parts"][part][name]["ratio"] for name in names)

    def fewest(part: str, names: set[str]) -> Callable[[dict[str, Any]], float]:
        return lambda results: min(results["parts"][part][name]["jaxes"]["solved"] for name in names)

    time = "largest running time / pycma's"
    yield Row(f"D = 5, {cases}: fewest runs of 15 that reach 1e-8", at_least(15, OWN), fewest("D=5", easy))
    yield Row(f"D = 5, {cases}: {time}", at_most(1.25, f"{OWN}, beside pycma"), worst("D=5", easy))
    yield Row("D = 5, f12 13: fewest runs of 15 that reach 1e-8", at_least(13, OWN), fewest("D=5", hard))
    yield Row(f"D = 5, f12 13: {time}", at_most(1.5, f"{OWN}, beside pycma"), worst("D=5", hard))
    for part in ("D=10", "D=20"):
        asked = at_most(1.3, f"{OWN}, beside pycma")
        yield Row(f"{part.replace('=', ' = ')}, all eleven: {time}", asked, worst(part, easy | hard))
    yield Row(
        "D = 5, multimodal f15 16 21 22: successes - pycma's, the least of the four",
        at_least(-3, f"{OWN}, beside pycma"),
        lambda results: min(
            row["jaxes"]["solved"] - row["pycma"]["solved"]
            for name, row in results["parts"]["D=5, multimodal, to 1e-1"].items()
            if name.startswith("f")
        ),
    )
    yield Row(
        "D = 5, BIPOP: functions of 24 that are solved at least once - pycma's",
        at_least(0, "pycma"),
        lambda results: sum(
            (row["jaxes"]["solved"] > 0) - (row["pycma"]["solved"] > 0)
            for name, row in results["parts"]["D=5, BIPOP, all functions"].items()
            if name.startswith("f")
        ),
    )


def correctness() -> Iterable[Row]:
    """Every strategy beside an independent reference."""
    drifts = lambda results: [row["drift"] for row in results["strategies"].values() if "drift" in row]
    yield Row(
        "targets that the reference reaches and jaxes does not",
        at_most(0, "the papers' pseudo-code"),
        missed,
        "`nes` on the rotated ellipsoid, whose isotropic Gaussian crawls there: most runs are out of evaluations",
    )
    yield Row(
        "one member in ten fails: evaluations on the sphere / without failures, the largest of all strategies",
        at_most(1.3, OWN),
        lambda results: max(row["NaN"]["cost of 10 %"] for row in results["strategies"].values()),
    )
    yield Row(
        "every second member fails: strategies that do not stay finite for 1000 generations",
        at_most(0, OWN),
        lambda results: sum(
            not row["NaN"]["finite after 1000 generations of 50 %"] for row in results["strategies"].values()
        ),
    )
    yield Row(
        "fitness is noise: largest drift of a mean, in standard errors",
        at_most(3, "theory: no drift"),
        lambda results: max(abs(row["mean"]) for row in drifts(results) if math.isfinite(row["mean"])),
    )
    yield Row(
        "fitness is noise: strategies whose log sigma drifts by 0.05 a generation or more",
        at_most(0, OWN),
        lambda results: sum(abs(row["log_sigma"]) >= 0.05 for row in drifts(results)),
        "`cem` without its noise, `rm_es` and both kinds of `iamalgam`: their papers' own rules shrink sigma then",
    )


def targets(results: dict[str, Any], side: str) -> tuple[int, int]:
    """(targets that a side reaches, targets that the reference reaches with strategies which the side has)."""
    cases = [
        case
        for row in results["strategies"].values()
        for case in row["evaluations"].values()
        if case.get("reference") and (side == "jaxes" or row["peer"])
    ]
    return sum(bool(case.get(side)) for case in cases), len(cases)


def missed(results: dict[str, Any]) -> int:
    """Targets that the reference reaches and jaxes does not."""
    reached, cases = targets(results, "jaxes")
    return cases - reached


def steepest(name: str) -> Callable[[dict[str, Any]], float]:
    """Of slopes of a variance, the one that is farthest from the middle of what was asked for."""
    middle = {"evolution strategies": 0.0, "policy gradient": 1.0}[name]
    return lambda results: max(results["bounds"][name]["slopes"], key=lambda slope: abs(slope - middle))


def wide() -> Iterable[Row]:
    """Wider networks."""
    for (wide, narrow), t in itertools.product(((64, 16), (256, 64)), (5, 10, 15)):
        key = f"median score after {t} generations, width {wide} / width {narrow}, each at its best step"
        what = f"score after {t} generations: width {wide} / width {narrow}, each with its best settings"
        yield Row(what, at_least(0.95, f"{SALIMANS}, section 3.2"), key)


CYCLIC = at_least(0.9, "the tutorial karush17/Evolution-Strategies-PyTorch")

SECTIONS = (
    Section("Populations of low rank", "lowrank", tuple(lowrank())),
    Section(
        "Rollouts that waste no step",
        "rollout",
        (
            Row(
                "brax/hopper, 1024 members: time if all are stepped to the limit at once / with refilled lanes",
                at_least(8, OWN),
                "hopper, 1024 members, 1000 steps: scan / refill",
                "one program a lane speeds up 1024 lanes at once by more than it does 64 lanes that are refilled",
            ),
            Row(
                "the same, where stepping ends with the last member's episode",
                at_least(2.5, OWN),
                "the same: while / refill",
            ),
            Row(
                "brax/halfcheetah, where no episode ends early: time with refilled lanes / all at once",
                at_most(1.03, OWN),
                "halfcheetah, no early end: refill / scan",
            ),
            Row(
                "brax/ant, steps a second: a whole generation / a loop that only steps the environment by `vmap`",
                at_least(0.95, OWN),
                "ant, steps a second: generation / stepping alone by vmap",
            ),
            Row(
                "the same, where the loop steps it as one program too",
                at_least(0.95, OWN),
                "ant, steps a second: generation / stepping alone",
                "policy, normalizer and draws now show beside the physics, which was most of the time before",
            ),
        ),
    ),
    Section(
        "Memory of a rollout",
        "rollout_memory",
        (
            Row(
                "brax/ant, 256 members, 1000 steps: evosax's problem / jaxes",
                at_least(100, f"{OWN}, beside evosax"),
                "memory of an ant rollout, 256 members x 1000 steps, evosax / jaxes",
            ),
            Row(
                "brax/ant: with normalized observations / without",
                at_most(1.01, OWN),
                "memory of an ant rollout, with normalizer / without",
            ),
        ),
    ),
    Section(
        "One program a lane, beside `vmap`",
        "lanewise",
        tuple(lanewise()),
        "Environments alone, generations of 64 members on 64 lanes, and evosax's `BraxProblem`, on two CPU cores.",
    ),
    Section(
        "One program a lane on a card",
        "lanewise_card",
        tuple(card()),
        "Environments alone, in a scan of 32 steps, and generations of dense members, a lane each.",
    ),
    Section("The same bits on any number of devices", "scaling", tuple(scaling())),
    Section(
        "Strategies beside their papers",
        "correctness",
        tuple(correctness()),
        "[correctness.md](correctness.md) has each strategy's figures.",
    ),
    Section(
        "A function to its minimum, beside pycma",
        "minimize",
        tuple(minimize()),
        "[minimize.md](minimize.md) shows how it is used. Linear algebra has one thread on both sides.",
    ),
    Section(
        "Noisy functions, beside pycma",
        "minimize_noisy",
        tuple(noisy()),
        "Noise of deviation 0.1 on each value; the distance of the answer from the optimum, medians of 15 seeds.",
    ),
    Section(
        "Constraints, beside pycma",
        "minimize_constrained",
        tuple(constrained()),
        "Problems of CEC 2006, and spheres with active linear constraints; medians of 15 seeds.",
    ),
    Section("BBOB beside pycma", "bbob", tuple(bbob())),
    Section(
        "What `cma_es` costs",
        "strategies",
        (
            Row(
                "n = 100, population 64: time of a generation / evosax's",
                at_most(1, EVOSAX),
                "time of a generation / evosax's",
            ),
            Row(
                "n = 10: time of 100 runs by `vmap` / one after the other",
                at_most(0.2, OWN),
                "time of 100 runs by vmap / in sequence",
                "a compiled run takes tens of microseconds a generation here, which leaves little for `vmap` to save",
            ),
            Row("the same with philox4x32 keys", at_most(0.2, OWN), "the same with philox4x32 keys", "as above"),
            Row(
                "n = 1000: time with the tutorial's interval of decompositions / one every generation",
                at_most(1 / 3, OWN),
                "time, tutorial's interval / every generation, n = 1000",
            ),
            Row(
                "n = 100: evaluations with that interval / one every generation",
                at_most(1.05, OWN),
                "evaluations, tutorial's interval / every generation, n = 100",
            ),
        ),
    ),
    Section(
        "What `open_es` costs",
        "core",
        (
            Row(
                "time / the same algorithm written by hand",
                at_most(1.05, OWN),
                "time, blocks=1 / by hand (default key)",
            ),
            Row("temporary memory / by hand", at_most(1.1, OWN), "temporary memory, blocks=1 / by hand"),
            Row("64 blocks: time / by hand", at_most(1.1, OWN), "time, blocks=64 / by hand (default key)"),
            Row("64 blocks: temporary memory / by hand", at_most(0.05, OWN), "temporary memory, blocks=64 / by hand"),
            Row(
                "time to draw with philox4x32 keys / default keys",
                at_most(0.5, OWN),
                "time of the draw, philox4x32 / default key",
            ),
            Row(
                "seconds of `import jaxes` beyond jax and optax",
                at_most(0.15, OWN),
                "seconds, import jaxes - import jax, optax",
            ),
        ),
        "A whole generation of 256 members of 100,000 parameters.",
    ),
    Section(
        "Learning beside evosax", "curves", tuple(curves()), "One seed each, populations, networks and steps alike."
    ),
    Section(
        "From a cold start to a score",
        "train",
        tuple(trained()),
        "From an empty compilation cache; the runs had priority over what else the machine did.",
    ),
    Section(
        "MuJoCo as published",
        "salimans",
        tuple(salimans()),
        "The same tasks on the MuJoCo of today, six seeds unless the row says otherwise.",
    ),
    Section(
        "Tasks of gymnasium",
        "gymnasium_suite",
        (
            Row(
                "CartPole-v1: mean of 100 episodes",
                at_least(500, "the longest episode"),
                "CartPole-v1: mean of 100 episodes",
            ),
            Row(
                "LunarLander-v3: mean of 100 episodes",
                at_least(200, "gymnasium's threshold"),
                "LunarLander-v3: mean of 100 episodes",
            ),
            Row("Reacher-v5: mean of 100 episodes", at_least(-6, OWN), "Reacher-v5: mean of 100 episodes"),
            Row("BipedalWalker-v3: mean of 100 episodes", at_least(250, OWN), "BipedalWalker-v3: mean of 100 episodes"),
        ),
    ),
    Section("Engine for environments on CPUs", "host", tuple(host())),
    Section(
        "Worlds in the plane",
        "planar",
        tuple(planar()),
        "Two CPU cores; lidar, resets and a 24-40-40-4 policy of its own on each lane are in the time, except beside "
        "jax2d. EnvPool's fastest settings share one policy's weights between its lanes.",
    ),
    Section(
        "From worlds in the plane to gymnasium's",
        "planar_transfer",
        tuple(transfer()),
        "Trained in ours, played unchanged in Box2D.",
    ),
    Section(
        "gymnasium's heuristic lands the lander",
        "lunar_lander",
        tuple(lander()),
        "Unchanged, on 100 seeds in either engine; the results have gymnasium's own figures, and those with wind.",
    ),
    Section(
        "Variance of the gradient and the length of the episode",
        "variance",
        (
            Row(
                "evolution strategies: slope of log variance over log length",
                Asked(-0.15, 0.15, f"{SALIMANS}, section 3.1"),
                steepest("evolution strategies"),
            ),
            Row(
                "policy gradient: slope of log variance over log length",
                Asked(0.7, 1.3, f"{SALIMANS}, section 3.1"),
                steepest("policy gradient"),
            ),
        ),
    ),
    Section(
        "Frame skip",
        "frame_skip",
        (
            Row(
                "Acrobot, generations to -100: slowest / fastest of frame skips 1 to 4",
                at_most(2, f"{SALIMANS}, figure 2"),
                "generations to -100, slowest / fastest frame skip",
            ),
        ),
    ),
    Section("Wider networks", "width", tuple(wide())),
    Section("Tetris by cross-entropy", "tetris", tuple(tetris())),
    Section(
        "Planning by cross-entropy",
        "planning",
        (
            Row(
                "cart-pole swing-up, mean of 5 seeds of 10 episodes",
                at_least(850, "Hafner et al. 2019, Table 1"),
                "cart-pole swing-up, mean of 5 seeds x 10 episodes",
            ),
            Row(
                "reacher easy, one episode",
                at_least(964, "Hafner et al. 2019, Table 1"),
                lambda results: results["tasks"]["reacher easy"]["mean"],
                "one episode, cut after a fifth of its steps, where 200 is the most: all of it wants an accelerator",
            ),
            Row(
                "cart-pole swing-up: score of random shooting / cross-entropy",
                at_most(1, "Hafner et al. 2019"),
                "random shooting / cross-entropy, cart-pole",
            ),
            Row(
                "milliseconds of a plan of PlaNet's size",
                at_most(60, OWN),
                "milliseconds of a plan as large as PlaNet's",
            ),
        ),
    ),
    Section(
        "CyclicMDP",
        "cyclic_mdp",
        (
            Row(
                "greedy actions: share of seeds at the optimum within 200 generations",
                CYCLIC,
                "greedy actions: share of seeds at the optimum 1333 within 200 generations",
            ),
            Row(
                "greedy actions, equal rewards: the same",
                CYCLIC,
                "greedy actions, equal rewards: share of seeds at the optimum 1000 within 200 generations",
            ),
            Row(
                "sampled actions: the same",
                CYCLIC,
                "sampled actions: share of seeds at the optimum 1333 within 200 generations",
            ),
        ),
    ),
    Section(
        "Digits without back-propagation",
        "supervised",
        (
            Row(
                "members of rank 1: held-out accuracy of the worst of five seeds",
                at_least(0.96, OWN),
                "digits by members of rank 1, held-out accuracy: lowest of 5 seeds",
            ),
            Row(
                "members of rank 1: seconds of the longest of five runs, compiling included",
                at_most(180, OWN),
                "digits by members of rank 1, seconds with compiling: longest of 5 seeds",
            ),
        ),
    ),
)
