"""What is measured of every strategy: evaluations to a target, drift under random fitness, invariances, NaN.

`benchmarks/correctness.py` measures all of it and writes docs/correctness.md; `test_proof.py` holds a part of it.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxes
from jaxes import Strategy

N = 10
START = np.linspace(0.5, 1.5, N)
SEEDS = 15
ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))[0]

# Functions of a vector, lower is better, for NumPy and JAX alike.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sphere": lambda x: (x**2).sum(),
    "rotated ellipsoid": lambda x: (10.0 ** (6 * np.arange(N) / (N - 1)) * (ROTATION @ x) ** 2).sum(),
    "Rosenbrock": lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(),
    "cigar": lambda x: x[0] ** 2 + 1e6 * (x[1:] ** 2).sum(),
}
TARGETS = 10.0 ** np.arange(-8, 7)


class Setting(NamedTuple):
    """How a strategy is measured."""

    size: int
    sigma: float
    budget: int  # evaluations
    options: Mapping[str, Any] = MappingProxyType({})  # of the factory
    reference: Mapping[str, Any] = MappingProxyType({})  # of the reference
    source: str = "NumPy transcription of the paper"
    peer: str = ""  # evosax's name of it
    searches: bool = True  # has a Gaussian whose drift under random fitness is of interest


GAUSSIAN = {"size": 10, "sigma": 0.5, "budget": 20_000}
DESCENT = {"size": 20, "sigma": 0.1, "budget": 20_000}
PEOPLE = {"size": 20, "sigma": 0.3, "budget": 20_000, "searches": False}

SETTINGS: dict[str, Setting] = {
    "simple_es": Setting(40, 0.5, 20_000),
    "nes": Setting(20, 0.5, 20_000, {"sigma_learning_rate": 0.3}, {"eta_sigma": 0.3}),
    "snes": Setting(**GAUSSIAN, peer="SNES"),
    "xnes": Setting(**GAUSSIAN, peer="xNES"),
    "cem": Setting(100, 0.5, 20_000),
    "cma_es": Setting(**GAUSSIAN, source="pycma 4.5.0", peer="CMA_ES"),
    "sep_cma_es": Setting(**GAUSSIAN, peer="Sep_CMA_ES"),
    "ma_es": Setting(**GAUSSIAN, peer="MA_ES"),
    "lm_ma_es": Setting(**GAUSSIAN, peer="LM_MA_ES"),
    "rm_es": Setting(**GAUSSIAN, peer="Rm_ES"),
    "vd_cma_es": Setting(**GAUSSIAN),
    "cr_fm_nes": Setting(**GAUSSIAN, peer="CR_FM_NES"),
    "iamalgam": Setting(31, 0.5, 20_000, peer="iAMaLGaM_Full"),
    "iamalgam, univariate": Setting(
        12, 0.5, 20_000, {"covariance": "univariate"}, {"covariance": "univariate"}, peer="iAMaLGaM_Univariate"
    ),
    "open_es": Setting(**DESCENT, options={"learning_rate": 0.05}, reference={"alpha": 0.05}, peer="Open_ES"),
    "pgpe": Setting(20, 0.3, 20_000, peer="PGPE"),
    "ars": Setting(**DESCENT, options={"top": 5, "learning_rate": 0.05}, reference={"alpha": 0.05, "b": 5}, peer="ARS"),
    "esmc": Setting(**DESCENT, options={"learning_rate": 0.05}, reference={"alpha": 0.05}, peer="ESMC"),
    "guided_es": Setting(20, 0.1, 20_000, {"tx": optax.sgd(0.5)}, {"eta": 0.5}, peer="GuidedES"),
    "asebo": Setting(
        20,
        0.1,
        20_000,
        {"tx": optax.sgd(0.1), "warmup": 5.0, "threshold": 0.9, "covariance_decay": 0.8},
        {"eta": 0.1},
        peer="ASEBO",
    ),
    "discovered_es": Setting(20, 0.3, 20_000, peer="DES"),
    "random_search": Setting(**PEOPLE, peer="RandomSearch"),
    "hill_climbing": Setting(**PEOPLE, peer="HillClimbing"),
    "simulated_annealing": Setting(**PEOPLE, peer="SimulatedAnnealing"),
    "gradientless_descent": Setting(11, 1.0, 20_000, {"ratio": 2.0**-10}, searches=False, peer="GradientlessDescent"),
    "simple_ga": Setting(**PEOPLE, peer="SimpleGA"),
    "mr15_ga": Setting(**PEOPLE, peer="MR15_GA"),
    "samr_ga": Setting(**PEOPLE, peer="SAMR_GA"),
    "gesmr_ga": Setting(**PEOPLE, options={"groups": 5}, reference={"K": 5}, peer="GESMR_GA"),
    "differential_evolution": Setting(30, 0.5, 20_000, searches=False, peer="DifferentialEvolution"),
    "particle_swarm": Setting(30, 0.5, 20_000, searches=False, peer="PSO"),
}


def made(name: str, **options: Any) -> Strategy:
    setting = SETTINGS[name]
    return getattr(jaxes, name.split(",")[0])(setting.size, setting.sigma, **{**setting.options, **options})


def reference(name: str, n: int = N) -> Any:
    setting = SETTINGS[name]
    module = importlib.import_module(f"references.{name.split(',')[0]}")
    return module.Reference(START[:n], setting.sigma, setting.size, **setting.reference)


def runner(strategy: Strategy, objective: Callable, generations: int) -> Callable:
    """`run(keys, x0) -> best values so far [seeds, generations]`, of a function to minimize, compiled once."""
    step = jaxes.generation(strategy, jaxes.problem(lambda x: -objective(x)))

    def run(key, x0):
        _, infos = jax.lax.scan(step, (strategy.init(key, x0), ()), length=generations)
        return jax.lax.cummin(-infos.best)

    return jax.jit(jax.vmap(run, (0, None)))


def curves(name: str, function: str, seeds: int = SEEDS) -> np.ndarray:
    """float[seeds, generations]: the best value so far, in float64."""
    setting = SETTINGS[name]
    with jax.enable_x64(True):
        run = runner(made(name), FUNCTIONS[function], setting.budget // setting.size)
        return np.asarray(run(jax.random.split(jax.random.key(1), seeds), jnp.asarray(START)))


def curves_of_reference(name: str, function: str, seeds: int = SEEDS) -> np.ndarray:
    """The same for the reference, with random numbers of its own."""
    setting, f = SETTINGS[name], FUNCTIONS[function]
    generations = setting.budget // setting.size
    best = np.full((seeds, generations), np.inf)
    for seed in range(seeds):
        rng, search = np.random.default_rng(seed), reference(name)
        with np.errstate(all="ignore"):
            for t in range(generations):
                values = np.array([f(x) for x in search.ask(search.noise(rng))])
                best[seed, t:] = min(best[seed, t], values.min())
                if best[seed, t] <= TARGETS[0]:
                    break
                search.tell(values)
    return best


def evaluations(best: np.ndarray, target: float, size: int) -> np.ndarray:
    """float[seeds]: evaluations until the target, inf if never."""
    reached = best <= target
    return np.where(reached.any(1), (reached.argmax(1) + 1.0) * size, np.inf)


def common_target(best: np.ndarray) -> float | None:
    """The smallest power of ten that at least 12 of 15 runs reach; None if that is no progress at all."""
    for target in TARGETS:
        if (best <= target).any(1).mean() >= 0.8:
            return float(target)
    return None


_programs: dict[Any, Callable] = {}


def _kept(key: Any, make: Callable[[], Callable]) -> Callable:
    """The program made for `key` before, or a new one."""
    return _programs.setdefault(key, make())


class Drift(NamedTuple):
    mean: float  # of the mean along (1, ..., 1), in standard errors over the seeds
    log_sigma: float  # of log sigma, a generation


def drift(name: str, seeds: int = 100, generations: int = 1000, n: int = 5) -> Drift:
    """Under fitness that is noise and nothing else."""
    strategy = made(name)

    def run(key):
        def step(state, t):
            fitness = jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, 77), t), (strategy.population_size,))
            new, info = strategy.tell(state, fitness)
            move = jnp.sum(strategy.recommend(new) - strategy.recommend(state)) / info.sigma
            return new, (move, info.sigma)

        _, (moves, sigma) = jax.lax.scan(step, strategy.init(key, jnp.zeros(n)), jnp.arange(generations))
        return jnp.mean(moves), jnp.log(sigma[-1] / sigma[0]) / (generations - 1)

    with jax.enable_x64(True):  # for sigmas that shrink beyond what float32 holds
        moves, log_sigma = map(np.asarray, jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(2), seeds)))
    return Drift(float(moves.mean() / (moves.std(ddof=1) / np.sqrt(seeds))), float(log_sigma.mean()))


def shrinkage(name: str, seeds: int = 20, generations: int = 40, n: int = 5) -> tuple[float, float]:
    """Drift a generation of the log of the members' spread under random fitness: ours, and the reference's."""
    strategy = made(name)
    spread = lambda members: 0.5 * np.log(np.var(np.asarray(members), axis=-2).mean(-1))

    def run(key):
        def step(state, t):
            fitness = jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, 77), t), (strategy.population_size,))
            return strategy.tell(state, fitness)[0], None

        first = strategy.init(key, jnp.zeros(n))
        last = jax.lax.scan(step, first, jnp.arange(generations))[0]
        return strategy.ask(first), strategy.ask(last)

    with jax.enable_x64(True):
        first, last = map(spread, jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(2), seeds)))
    theirs = []
    for seed in range(seeds):
        rng, search = np.random.default_rng(seed), reference(name, n)
        begin = spread(search.ask(search.noise(rng)))
        for _ in range(generations):
            search.tell(rng.standard_normal(strategy.population_size))
            members = search.ask(search.noise(rng))
        theirs.append(spread(members) - begin)
    return float(np.mean(last - first)) / generations, float(np.mean(theirs)) / generations


def with_failures(name: str, share: float, generations: int, seeds: int = 301) -> tuple[np.ndarray, np.ndarray]:
    """Best valid value so far on the sphere [seeds, generations] where a share of the members gives NaN.

    Returns:
        The values, and bool[seeds]: whether every number of the last state that should be is finite.
    """
    strategy = made(name)

    def run(share, key):
        def step(state, t):
            lost = jax.random.bernoulli(
                jax.random.fold_in(jax.random.fold_in(key, 78), t), share, (strategy.population_size,)
            )
            values = jax.vmap(FUNCTIONS["sphere"])(strategy.ask(state))
            state, _ = strategy.tell(state, jnp.where(lost, jnp.nan, -values))
            return state, jnp.min(jnp.where(lost, jnp.inf, values))

        state, best = jax.lax.scan(step, strategy.init(key, jnp.asarray(START, jnp.float32)), jnp.arange(generations))
        return jax.lax.cummin(best), jnp.all(jnp.isfinite(strategy.recommend(state)))

    go = _kept(("failures", name, generations), lambda: jax.jit(jax.vmap(run, (None, 0))))
    best, finite = go(jnp.float32(share), jax.random.split(jax.random.key(3), seeds))
    return np.asarray(best), np.asarray(finite)


class Invariance(NamedTuple):
    scaled: bool  # the same bits for fitness * 2^20
    ranked: bool  # the same bits for the fitness's ranks
    translated: float  # largest difference of two runs on f(x) and f(x - c), started c apart, in float64


# Descend by the fitness's values, too far on Rosenbrock's function: there they diverge, and chaos amplifies rounding.
ON_SPHERE = {"guided_es", "asebo"}


@functools.lru_cache
def invariance(name: str, generations: int = 20) -> Invariance:
    """Of what is done with the fitness, and of where the origin is."""
    strategy = made(name)
    f = FUNCTIONS["sphere" if name in ON_SPHERE else "Rosenbrock"]

    def run(view, shift, dtype):
        @jax.jit
        def go(key):
            def step(state, _):
                fitness = -jax.vmap(lambda x: f(x - shift))(strategy.ask(state))
                return strategy.tell(state, view(fitness))[0], None

            start = strategy.init(key, jnp.asarray(START + shift, dtype))
            return strategy.recommend(jax.lax.scan(step, start, length=generations)[0])

        return np.asarray(go(jax.random.key(4))) - shift

    ranks = lambda fitness: jnp.argsort(jnp.argsort(fitness)).astype(fitness.dtype)
    same = lambda fitness: fitness
    plain = run(same, 0.0, jnp.float32)
    scaled = bool((run(lambda x: x * 2.0**20, 0.0, jnp.float32) == plain).all())
    ranked = bool((run(ranks, 0.0, jnp.float32) == plain).all())
    with jax.enable_x64(True):
        moved = np.abs(run(same, 0.0, jnp.float64) - run(same, 8.0, jnp.float64)).max()
    return Invariance(scaled, ranked, float(moved))
