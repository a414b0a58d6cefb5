"""What a strategy optimizes: a problem gives one fitness per member, and sums that add up over the members."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jaxes.blocks import Block, Comm, axis_devices, over_blocks
from jaxes.lowrank.population import vmap
from jaxes.strategy import Strategy, checked
from jaxes.support import checks, keys
from jaxes.support.numerals import is_real


class Problem(NamedTuple):
    """Something to evaluate members on: a benchmark function, a supervised batch, a rollout, a game."""

    init: Callable[[jax.Array], Any]
    """`init(key) -> problem_state`"""
    evaluate: Callable[[Any, jax.Array, Callable, jax.Array], tuple[Any, ...]]
    """`evaluate(problem_state, key, ask, ids) -> (fitness float[len(ids)], sums)`.

    `ids` (int32[k]) are the members to evaluate. `ask()` draws all of them, in this order; `ask(some_ids)` draws some,
    so that a problem need not hold all members at once. `key` is the same for all blocks of a generation. `sums` is a
    tree of arrays that is added up over the blocks.
    """
    update: Callable[..., Any]
    """`update(problem_state, sums) -> problem_state`"""
    counters: Callable[[Any], dict[str, Any]] = lambda state: {}
    """`counters(problem_state) -> {name: Counter}`: totals that become metrics; `steps` counts environment steps"""
    ratios: Mapping[str, tuple[str, str]] = MappingProxyType({})
    """Metrics that divide the growth of one counter by that of another: name -> (numerator, denominator)"""
    rows: bool = False
    """Whether members keep something between generations, as in `jaxes.unrolled`. Then `evaluate` also returns rows, a
    tree with leaves [len(ids), ...] in the order of `ids`, and `update(problem_state, sums, rows)` receives the rows of
    the whole population. Every evaluation sees the whole `problem_state` and takes the part that belongs to its `ids`.
    """
    host: bool = False
    """Whether `evaluate` runs in Python, between compiled programs, on the whole population at once. Then `ask` is a
    `jax.tree_util.Partial` of the strategy's `ask` and its state, so that other processes can draw the members."""
    listen: Callable[[Callable[[float], None]], None] | None = None
    """`listen(tell)`: about every second, call `tell(share)` with the share of the generation that is evaluated"""


def problem(objective: Callable[[Any], jax.Array]) -> Problem:
    """The problem of maximizing `objective(member) -> scalar`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> fitness, _ = sphere.evaluate((), jax.random.key(0), lambda: jnp.eye(3), jnp.arange(3))
    >>> fitness.tolist()
    [-1.0, -1.0, -1.0]
    """
    checks.function("objective", objective, "one member")

    def evaluate(_, key, ask, ids):
        del key, ids
        members = ask()
        try:
            fitness = vmap(lambda member: _number(objective(member)))(members)
        except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
            raise TypeError(
                "objective must be a function that JAX can trace: of jax.numpy, without Python branches on values; "
                f"jaxes.minimize_function and jaxes.ESOpt take NumPy functions. It failed: {error}"
            ) from error
        return _fitness(fitness), ()

    return Problem(init=lambda key: (), evaluate=evaluate, update=lambda state, sums: state)


_WANTED = "objective must return one real number for one member"


def _number(value: Any) -> Any:
    """What an objective has returned, if `vmap` takes it."""
    if isinstance(value, str | bytes):
        raise TypeError(f"{_WANTED}, got {value!r}")
    return value


def _fitness(values: Any) -> jax.Array:
    """What an objective has returned for many members, if it is one number for each."""
    if not hasattr(values, "dtype"):
        got = "None" if values is None else f"a {type(values).__name__}"
        raise TypeError(f"{_WANTED}, got {got}")
    if not is_real(values.dtype):
        raise TypeError(f"{_WANTED}, got dtype {values.dtype}")
    if values.size != values.shape[0]:
        raise ValueError(f"{_WANTED}, a scalar, got shape {values.shape[1:]}")
    values = values.reshape(-1)  # an array of one number is a number
    return values.astype(jnp.float32) if values.dtype == jnp.bool_ else values


@dataclasses.dataclass(frozen=True)
class _Minimized:
    objective: Callable[[Any], Any]

    @property
    def __wrapped__(self) -> Callable[[Any], Any]:
        """For `inspect.signature`."""
        return self.objective

    def __call__(self, *args):
        return jax.tree.map(_negative, self.objective(*args))


def _negative(x: Any) -> jax.Array:
    """`-x`, also of numbers without a sign."""
    _number(x)
    unsigned = isinstance(x, bool) or jnp.issubdtype(getattr(x, "dtype", float), jnp.unsignedinteger)
    unsigned = unsigned or getattr(x, "dtype", None) == jnp.bool_
    return jnp.negative(jnp.asarray(x, jnp.float32) if unsigned else x)


def minimize(objective: Callable[..., Any]) -> Callable[..., Any]:
    """The objective with its sign turned. Everywhere in the library higher is better; this is its one minus sign.

    Args:
        objective: a function of one member that returns a scalar (or a tree of arrays), lower is better.

    >>> minimize(lambda x: x * 2)(3.0).item()
    -6.0
    """
    if not callable(objective):
        raise TypeError(f"objective must be a function, got {objective!r}")
    return _Minimized(objective)


def generation(strategy: Strategy, problem: Problem, comm: Comm = "blocks") -> Callable[..., tuple[Any, Any]]:
    """One generation as a pure function for `jax.lax.scan`: `(state, problem_state) -> ((state, problem_state), info)`.

    Args:
        strategy: what to run.
        problem: what to run it on.
        comm: what devices send beside each member's fitness and the problem's sums where the generation is spread over
            several (`jaxes.parallel.spread`). "scalars": nothing, every device draws all noise again (Salimans et al.
            2017, Algorithm 2). "blocks": each device learns from its own members, and sums of noise as large as the
            parameters are sent, one a block. Both give the same bits on any number of devices (on CPUs in strict mode,
            see `jaxes.strict`). "psum": one sum a device; the fastest for large models, but the order of the sums
            depends on the number of devices, and so do the last bits.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1)
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> carry = (strategy.init(jax.random.key(0), jnp.ones(3)), sphere.init(jax.random.key(1)))
    >>> carry, infos = jax.lax.scan(jaxes.generation(strategy, sphere), carry, length=5)
    >>> infos.best.shape
    (5,)
    """
    full = generation_with_fitness(strategy, problem, comm)

    def step(carry, _=None):
        carry, (info, _) = full(carry)
        return carry, info

    return step


def generation_with_fitness(
    strategy: Strategy, problem: Problem, comm: Comm = "blocks"
) -> Callable[..., tuple[Any, Any]]:
    """`generation` that gives `(info, fitness)`, the fitness of every member beside what sums it up."""
    strategy = checked(strategy)
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a jaxes.Problem, got {problem!r}; jaxes.problem(objective) makes one")
    checks.choice("comm", comm, get_args(Comm))
    if problem.host:
        return _on_the_host(strategy, problem)
    evaluate = lambda state, problem_state: _in_blocks(strategy, problem, state, problem_state, comm)
    return evolved(strategy, problem, evaluate, comm)


class Evaluated(NamedTuple):
    """What an evaluator gives of a generation."""

    fitness: jax.Array  # float[population_size]
    sums: Any  # the problem's, added up over the members
    rows: tuple[Any, ...] = ()  # the problem's rows of all members, if it has any
    learned: Any = None  # sums of `Strategy.stream`, if the strategy has learned already


def evolved(
    strategy: Strategy,
    problem: Problem,
    evaluator: Callable[[Any, Any], Evaluated],
    comm: Comm = "blocks",
    compiled: Callable[[Callable], Callable] = lambda function: function,
) -> Callable[..., tuple[Any, Any]]:
    """The body of every generation: evaluate, tell the strategy, update the problem.

    Args:
        strategy: what is told.
        problem: what is updated.
        evaluator: `(state, problem_state) -> Evaluated`.
        comm: as of `generation`.
        compiled: applied to what follows the evaluation: `jax.jit` where the evaluator is a Python program.

    Returns:
        `(state, problem_state) -> ((state, problem_state), (info, fitness))`.
    """
    how = {} if comm == "blocks" else {"comm": comm}  # a strategy of one's own need not know of devices

    @compiled
    def learn(carry, seen):
        state, problem_state = carry
        if strategy.stream is None or seen.learned is None:
            state, info = strategy.tell(state, seen.fitness, **how)
        else:
            state, info = strategy.stream.tell(state, seen.fitness, seen.learned, **how)
        return (state, problem.update(problem_state, seen.sums, *seen.rows)), (info, seen.fitness)

    def step(carry, _=None):
        return learn(carry, evaluator(*carry))

    return step


def evaluated_block(
    strategy: Strategy, problem: Problem, state: Any, problem_state: Any, block: Block, members: Any = None
) -> tuple[jax.Array, Any, tuple[Any, ...]]:
    """Fitness, sums and rows of a block of members, which are drawn when the problem asks unless they are given."""

    def ask(ids=None):
        if ids is None and members is not None:
            return members
        return strategy.ask(state, block if ids is None else ids)

    fitness, sums, *rows = problem.evaluate(problem_state, keys.of_problem(state), ask, block.ids)
    if fitness.shape != (block.size,):
        raise ValueError(f"problem.evaluate must return fitness of shape ({block.size},), got {fitness.shape}")
    if len(rows) != problem.rows:
        raise ValueError(
            f"problem.evaluate must return {'fitness, sums and rows' if problem.rows else 'fitness and sums'} "
            f"where rows={problem.rows}, got {2 + len(rows)} values"
        )
    return fitness, sums, tuple(rows)


def _in_blocks(strategy: Strategy, problem: Problem, state: Any, problem_state: Any, comm: Comm) -> Evaluated:
    """The evaluator in compiled programs: block by block, over the devices that there are."""
    # Sums for learning are as large as the parameters; where only scalars are sent, noise is drawn again instead.
    redrawn = strategy.blocks == 1 or (comm == "scalars" and axis_devices() > 1)
    stream = None if redrawn else strategy.stream

    def evaluate(block):
        members, noise = (None, None) if stream is None else stream.ask(state, block)
        fitness, sums, rows = evaluated_block(strategy, problem, state, problem_state, block, members)
        return (fitness, rows), (sums, None if stream is None else stream.add(fitness, noise))

    sent = "psum" if comm == "psum" else "blocks"
    (fitness, rows), (sums, learned) = over_blocks(evaluate, strategy.population_size, strategy.blocks, sent)
    return Evaluated(fitness, sums, rows, learned)


def _on_the_host(strategy: Strategy, problem: Problem) -> Callable[..., tuple[Any, Any]]:
    """The generation of a problem that is evaluated in Python."""
    key_of, ids = jax.jit(keys.of_problem), jnp.arange(strategy.population_size)

    def evaluate(state, problem_state):
        if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((state, problem_state))):
            raise TypeError("problem is evaluated in Python, so its generation cannot be compiled; use jaxes.fit")
        ask = jax.tree_util.Partial(strategy.ask, state)
        fitness, *others = problem.evaluate(problem_state, key_of(state), ask, ids)
        return Evaluated(checks.fitness(fitness, strategy.population_size, jnp.result_type(float)).values, *others)

    return evolved(strategy, problem, evaluate, compiled=jax.jit)
