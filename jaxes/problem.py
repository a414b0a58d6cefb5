"""What a strategy is run on: a problem gives one fitness per member, and sums that add up over members."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import comm, over_blocks
from jaxes.lowrank.population import vmap
from jaxes.strategy import Strategy, generation_key

PROBLEM_ID = 0x7FFFFFFF  # the id no member has: the problem's key of a generation


class Problem(NamedTuple):
    """Something to evaluate members on: a benchmark function, a supervised batch, a rollout, a game."""

    init: Callable[[jax.Array], Any]
    """`init(key) -> problem_state`"""
    evaluate: Callable[[Any, jax.Array, Callable, jax.Array], tuple[Any, ...]]
    """`evaluate(problem_state, key, ask, ids) -> (fitness float[len(ids)], sums)`.

    `ask()` draws the members of `ids` in order, at once; `ask(some_ids)` draws those, so that a problem may draw a
    member only when there is room for it. `key` is the same for all blocks of a generation. `sums` is a tree of arrays
    that is added up over the blocks.
    """
    update: Callable[..., Any]
    """`update(problem_state, sums) -> problem_state`"""
    counters: Callable[[Any], dict[str, Any]] = lambda state: {}
    """`counters(problem_state) -> {name: Counter}`: totals worth a metric; `steps` are environment steps"""
    ratios: Mapping[str, tuple[str, str]] = MappingProxyType({})
    """Metrics that are the quotient of what two counters have grown by: name -> (numerator, denominator)"""
    rows: bool = False
    """Members keep something of their own between generations (`jaxes.unrolled`): `evaluate` also returns rows, a tree
    with leaves [len(ids), ...] in the order of `ids`, and `update(problem_state, sums, rows)` is given the rows of the
    whole population in the order of the members. A block's evaluation sees all of `problem_state` and takes out what
    belongs to its `ids`."""
    host: bool = False
    """`evaluate` runs in Python, between compiled programs, on the whole population at once; `ask` is a
    `jax.tree_util.Partial` of the strategy's ask and its state, so that members may be drawn elsewhere."""
    listen: Callable[[Callable[[float], None]], None] | None = None
    """`listen(tell)`: from now on `tell(share)` is told every second or so how much of a generation is evaluated"""


def problem(objective: Callable[[Any], jax.Array]) -> Problem:
    """The problem of maximizing `objective(member) -> scalar`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> fitness, _ = sphere.evaluate((), jax.random.key(0), lambda: jnp.eye(3), jnp.arange(3))
    >>> fitness.tolist()
    [-1.0, -1.0, -1.0]
    """

    def evaluate(_, key, ask, ids):
        del key, ids
        fitness = vmap(objective)(ask())
        if fitness.ndim != 1:
            raise ValueError(f"objective must return a scalar for one member, got shape {fitness.shape[1:]}")
        return fitness, ()

    return Problem(init=lambda key: (), evaluate=evaluate, update=lambda state, sums: state)


@dataclasses.dataclass(frozen=True)
class _Minimized:
    objective: Callable[[Any], Any]

    def __call__(self, *args):
        return jax.tree.map(jnp.negative, self.objective(*args))


def minimize(objective: Callable[..., Any]) -> Callable[..., Any]:
    """The objective with its sign turned: the one sign in the library, where higher is better.

    >>> minimize(lambda x: x * 2)(3.0).item()
    -6.0
    """
    if not callable(objective):
        raise TypeError(f"objective must be a function of one member, got {objective!r}")
    return _Minimized(objective)


def generation(strategy: Strategy, problem: Problem) -> Callable[..., tuple[Any, Any]]:
    """One generation as a pure function for `jax.lax.scan`: `(state, problem_state) -> ((state, problem_state), info)`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.open_es(8, 0.1)
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> carry = (strategy.init(jax.random.key(0), jnp.ones(3)), sphere.init(jax.random.key(1)))
    >>> carry, infos = jax.lax.scan(jaxes.generation(strategy, sphere), carry, length=5)
    >>> infos.best.shape
    (5,)
    """
    full = generation_with_fitness(strategy, problem)

    def step(carry, _=None):
        carry, (info, _) = full(carry)
        return carry, info

    return step


def generation_with_fitness(strategy: Strategy, problem: Problem) -> Callable[..., tuple[Any, Any]]:
    """`generation` that gives `(info, fitness)`, the fitness of every member beside what sums it up."""
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a jaxes.Problem, got {problem!r}; jaxes.problem(objective) makes one")

    if problem.host:
        return _on_the_host(strategy, problem)

    def step(carry, _=None):
        state, problem_state = carry
        # Sums for learning are as large as the parameters; where only scalars are sent, noise is drawn again instead.
        stream = strategy.stream if strategy.blocks > 1 and comm() != "scalars" else None
        key = jax.random.fold_in(generation_key(state), PROBLEM_ID)

        def evaluate(block):
            members, noise = (None, None) if stream is None else stream.ask(state, block)

            def ask(ids=None):
                if ids is None and members is not None:
                    return members
                return strategy.ask(state, block if ids is None else ids)

            fitness, sums, *rows = problem.evaluate(problem_state, key, ask, block.ids)
            if fitness.shape != (block.size,):
                raise ValueError(f"problem.evaluate must return fitness of shape ({block.size},), got {fitness.shape}")
            if len(rows) != problem.rows:
                raise ValueError(
                    f"problem.evaluate must return {'fitness, sums and rows' if problem.rows else 'fitness and sums'} "
                    f"where rows={problem.rows}, got {2 + len(rows)} values"
                )
            return (fitness, rows), (sums, () if stream is None else stream.add(fitness, noise))

        (fitness, rows), (sums, learned) = over_blocks(
            evaluate, strategy.population_size, strategy.blocks, evaluating=True
        )
        state, info = strategy.tell(state, fitness) if stream is None else stream.tell(state, fitness, learned)
        return (state, problem.update(problem_state, sums, *rows)), (info, fitness)

    return step


def _on_the_host(strategy: Strategy, problem: Problem) -> Callable[..., tuple[Any, Any]]:
    """`generation_with_fitness` of a problem that is evaluated in Python."""
    key_of = jax.jit(lambda state: jax.random.fold_in(generation_key(state), PROBLEM_ID))

    @jax.jit
    def finish(state, problem_state, fitness, sums):
        state, info = strategy.tell(state, fitness)
        return (state, problem.update(problem_state, sums)), (info, fitness)

    def step(carry, _=None):
        state, problem_state = carry
        if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(carry)):
            raise TypeError("problem is evaluated in Python, so its generation cannot be compiled; use jaxes.fit")
        ask = jax.tree_util.Partial(strategy.ask, state)
        fitness, sums = problem.evaluate(problem_state, key_of(state), ask, jnp.arange(strategy.population_size))
        return finish(state, problem_state, fitness, sums)

    return step
