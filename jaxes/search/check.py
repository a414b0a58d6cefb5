"""What every strategy promises, checked on a strategy of one's own."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Block
from jaxes.lowrank.population import materialize
from jaxes.strategy import Info, Strategy, checked, is_state
from jaxes.support import checks

_Check = Callable[[Strategy, Any, Any], Iterator[str]]


def check(strategy: Strategy, params: Any = None) -> None:
    """Raise unless a strategy keeps the promises that everything else in jaxes relies on.

    It is asked and told a few times, which takes seconds. What it cannot see is whether the search is any good.

    Args:
        strategy: the strategy, such as one of your own.
        params: what to search over; a small tree of two float32 arrays by default.

    Raises:
        ValueError: with a sentence for each promise that is broken.

    >>> import jaxes
    >>> jaxes.check(jaxes.open_es(8, 0.1))
    """
    strategy = checked(strategy)
    params = {"w": jnp.linspace(-1.0, 1.0, 6).reshape(2, 3), "b": jnp.zeros(2)} if params is None else params
    params = checks.params(params)
    broken = list(_shape_of_a_strategy(strategy))
    if not broken:
        try:
            state = strategy.init(jax.random.key(0), params)
        except Exception as error:
            broken = [f"init(key, params) must return a state; it failed: {_short(error)}"]
        else:
            for look in _CHECKS:
                try:
                    broken += look(strategy, params, state)
                except Exception as error:
                    broken.append(f"{look.__doc__} It failed: {_short(error)}")
                if broken and look is _state:
                    break
    if broken:
        raise ValueError("strategy breaks what every strategy promises:\n" + "\n".join(f"- {x}" for x in broken))


def _shape_of_a_strategy(strategy: Strategy) -> Iterator[str]:
    for name in ("init", "ask", "tell", "recommend"):
        if not callable(getattr(strategy, name)):
            yield f"{name} must be a function, got {getattr(strategy, name)!r}"
    if not checks.is_integer(strategy.population_size):
        yield f"population_size must be an int of 1 or more, got {strategy.population_size!r}"
    elif not checks.is_integer(strategy.blocks) or strategy.population_size % strategy.blocks:
        yield f"blocks must be an int that divides population_size, got {strategy.blocks!r}"


def _state(strategy: Strategy, params: Any, state: Any) -> Iterator[str]:
    """The state must be a NamedTuple of arrays with a key and a step."""
    if not is_state(state):
        yield f"init must return a NamedTuple with `key` and `step`, got {type(state).__name__}"
        return
    if state.key is not None and not _same(state.key, jax.random.key(0)):
        yield "the state must keep the key that init was given: generation t draws from fold_in(key, t)"
    if jnp.shape(state.step) or jnp.result_type(state.step) != jnp.int32 or int(state.step):
        yield f"step must be the int32 scalar 0 at first, got {state.step!r}"
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if not isinstance(leaf, jax.Array):
            yield f"state{jax.tree_util.keystr(path)} must be an array, got {leaf!r}"
        elif getattr(leaf, "weak_type", False):
            yield f"state{jax.tree_util.keystr(path)} must have a strong type: jnp.asarray(x, dtype)"


def _members(strategy: Strategy, params: Any, state: Any) -> Iterator[str]:
    """ask(state) must give all members, the same ones each time."""
    population = materialize(strategy.ask(state))
    wanted = jax.tree.map(lambda x: (strategy.population_size, *x.shape), params)
    if _shapes(population) != _shapes_of(wanted, params):
        yield f"ask(state) must have leaves [population_size, *leaf.shape] {wanted}, got {_shapes(population)}"
        return
    if not _same(population, materialize(strategy.ask(state))):
        yield "ask(state) must give the same members when it is called again: it draws from the key in the state"
    every = jnp.arange(strategy.population_size)
    for what, some in (("ids", every[::-2]), ("a Block", Block(0, 1))):
        part = materialize(strategy.ask(state, some))
        of = some.ids if isinstance(some, Block) else some
        if not _close(part, jax.tree.map(lambda x, of=of: x[of], population)):
            yield f"ask(state, {what}) must give those members of ask(state)"


def _generations(strategy: Strategy, params: Any, state: Any) -> Iterator[str]:
    """tell(state, fitness) must give the next state and an Info, of the same shapes and dtypes."""
    fitness = jnp.arange(float(strategy.population_size), dtype=jnp.float32)
    new, info = strategy.tell(state, fitness)
    if jax.tree.structure(new) != jax.tree.structure(state) or _kinds(new) != _kinds(state):
        differ = [f"{a} -> {b}" for a, b in zip(_kinds(state), _kinds(new)) if a != b]
        yield f"tell must keep the state's tree, shapes and dtypes, so that scan can carry it; {', '.join(differ)}"
        return
    if int(new.step) != int(state.step) + 1:
        yield f"tell must add 1 to step, got {int(state.step)} -> {int(new.step)}"
    if state.key is not None and not _same(new.key, state.key):
        yield "tell must leave the key as it is"
    if not isinstance(info, Info):
        yield f"tell must return (state, jaxes.Info), got {type(info).__name__}; jaxes.strategy.summarize makes one"
    elif any(jnp.shape(x) for x in jax.tree.leaves(info)):
        yield "every field of the Info must be a scalar"
    if not _close(strategy.tell(state, fitness)[0], new):
        yield "tell must give the same state when it is called again with the same fitness"

    def step(state, _):
        return strategy.tell(state, -_distance(strategy.ask(state), params))

    last, infos = jax.jit(lambda state: jax.lax.scan(step, state, length=5))(state)
    if not _finite(last):
        yield "the state must stay finite"
    if isinstance(infos, Info) and not bool(jnp.all(jnp.isfinite(infos.best))):
        yield "info.best must be the highest fitness"


def _invalid(strategy: Strategy, params: Any, state: Any) -> Iterator[str]:
    """A fitness of NaN must count as a failed evaluation."""
    fitness = jnp.arange(float(strategy.population_size)).at[0].set(jnp.nan)
    new, _ = strategy.tell(state, fitness)
    if not _finite(new) or not _finite(materialize(strategy.ask(new))):
        yield "the state and its members must stay finite where one fitness is NaN"
    new, info = strategy.tell(state, jnp.full(strategy.population_size, jnp.nan))
    if isinstance(info, Info) and int(info.invalid) < 1:
        yield f"info.invalid must count the members without a valid fitness, got {int(info.invalid)} of all"
    if not _same(strategy.recommend(new), strategy.recommend(state)):
        yield "a generation without a valid fitness must leave the answer as it was"


def _answer(strategy: Strategy, params: Any, state: Any) -> Iterator[str]:
    """recommend(state) must give parameters."""
    answer = strategy.recommend(state)
    if _shapes(answer) != _shapes(params):
        yield f"recommend(state) must have the parameters' tree, shapes and dtypes, got {_shapes(answer)}"


def _many(strategy: Strategy, params: Any, state: Any) -> Iterator[str]:
    """All functions must go through jit and vmap, as for many seeds at once."""

    def one(key):
        state = strategy.init(key, params)
        return strategy.recommend(strategy.tell(state, -_distance(strategy.ask(state), params))[0])

    keys = jax.random.split(jax.random.key(1), 2)
    both, alone = jax.jit(jax.vmap(one))(keys), jax.jit(one)(keys[1])
    if not _close(jax.tree.map(lambda x: x[1], both), alone, 1e-3):
        yield "two seeds under vmap must give what each gives alone"


_CHECKS: tuple[_Check, ...] = (_state, _members, _generations, _invalid, _answer, _many)


def _distance(population: Any, params: Any) -> jax.Array:
    """float32[members]: how far each member is from the parameters plus one."""
    away = lambda x, p: jnp.sum((x - p[None] - 1).astype(jnp.float32) ** 2, axis=tuple(range(1, x.ndim)))
    return jnp.sum(jnp.stack(jax.tree.leaves(jax.tree.map(away, materialize(population), params))), axis=0)


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: f"{jnp.result_type(x)}{list(jnp.shape(x))}", tree)


def _shapes_of(shapes: Any, params: Any) -> Any:
    return jax.tree.map(lambda x, shape: f"{x.dtype}{list(shape)}", params, shapes)


def _kinds(tree: Any) -> list[str]:
    weak = lambda x: " weak" if getattr(x, "weak_type", False) else ""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [f"{jax.tree_util.keystr(p)} {jnp.result_type(x)}{list(jnp.shape(x))}{weak(x)}" for p, x in leaves]


def _numbers(tree: Any) -> list[np.ndarray]:
    is_key = lambda x: jnp.issubdtype(jnp.result_type(x), jax.dtypes.prng_key)
    leaves = [jax.random.key_data(x) if is_key(x) else x for x in jax.tree.leaves(tree)]
    return [np.asarray(x, np.float64) for x in leaves]


def _same(a: Any, b: Any) -> bool:
    return _pairs(a, b, lambda x, y: np.array_equal(x, y, equal_nan=True))


def _close(a: Any, b: Any, tolerance: float = 1e-5) -> bool:
    return _pairs(a, b, lambda x, y: np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True))


def _pairs(a: Any, b: Any, alike: Callable[[np.ndarray, np.ndarray], bool]) -> bool:
    a, b = _numbers(a), _numbers(b)
    return len(a) == len(b) and all(x.shape == y.shape and alike(x, y) for x, y in zip(a, b))


def _finite(tree: Any) -> bool:
    """Whether no number is NaN; infinite ones may stand for a fitness that is not known yet."""
    return not any(np.isnan(x).any() for x in _numbers(tree))


def _short(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
