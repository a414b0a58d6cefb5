"""`jaxes.check` on strategies of a user's own: one that is right, and those that break one promise each."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

import jaxes
from jaxes.strategy import summarize


class State(NamedTuple):
    key: jax.Array
    step: jax.Array
    mean: Any
    sigma: jax.Array


SIZE = 6


def init(key, params):
    return State(key, jnp.int32(0), params, jnp.float32(0.1))


def ask(state, ids=None):
    ids = jnp.arange(SIZE) if ids is None else getattr(ids, "ids", ids)
    key = jax.random.fold_in(state.key, state.step)

    def one(i):
        leaves, tree = jax.tree.flatten(state.mean)
        keys = jax.random.split(jax.random.fold_in(key, i), len(leaves))
        pairs = zip(leaves, keys, strict=True)
        return tree.unflatten([x + state.sigma * jax.random.normal(k, x.shape) for x, k in pairs])

    return jax.vmap(one)(ids)


def tell(state, fitness, comm="blocks"):
    """The best member becomes the mean."""
    best = jax.tree.map(lambda x: x[0], ask(state, jnp.argmax(jnp.nan_to_num(fitness, nan=-jnp.inf))[None]))
    some = ~jnp.all(jnp.isnan(fitness))
    mean = jax.tree.map(lambda new, old: jnp.where(some, new, old), best, state.mean)
    return state._replace(step=state.step + 1, mean=mean), summarize(fitness, state.mean, mean, state.sigma)


def recommend(state):
    return state.mean


RIGHT = jaxes.Strategy(init, ask, tell, recommend, SIZE)


def next_key(state, fitness):
    new, info = tell(state, fitness)
    return new._replace(key=jax.random.split(new.key)[0]), info


def nan_is_best(state, fitness):
    best = jax.tree.map(lambda x: x[0] * jnp.max(fitness) / jnp.max(fitness), ask(state, jnp.argmax(fitness)[None]))
    return state._replace(step=state.step + 1, mean=best), summarize(fitness, state.mean, best, state.sigma)


def forgets(state, fitness):
    new, info = tell(state, jnp.nan_to_num(fitness))
    return new, info


def half(state, fitness):
    new, info = tell(state, fitness)
    return new._replace(sigma=new.sigma.astype(jnp.float16)), info


class Counter:
    def __init__(self):
        self.calls = 0

    def ask(self, state, ids=None):
        self.calls += 1
        return jax.tree.map(lambda x: x + self.calls, ask(state, ids))


WRONG = {
    "no function": (RIGHT._replace(ask=3), "ask must be a function, got 3"),
    "no size": (RIGHT._replace(population_size=2.5), "population_size must be an int of 1 or more, got 2.5"),
    "blocks": (RIGHT._replace(blocks=4), "blocks must be an int that divides population_size, got 4"),
    "a state without a key": (
        RIGHT._replace(init=lambda key, params: (params,)),
        "must return a NamedTuple with `key`",
    ),
    "another key": (
        RIGHT._replace(init=lambda key, params: init(jax.random.split(key)[0], params)),
        "must keep the key that init was given",
    ),
    "a Python number": (
        RIGHT._replace(init=lambda key, params: init(key, params)._replace(sigma=0.1)),
        r"state\.sigma must be an array, got 0\.1",
    ),
    "a weak type": (
        RIGHT._replace(init=lambda key, params: init(key, params)._replace(sigma=jnp.asarray(0.1))),
        r"state\.sigma must have a strong type",
    ),
    "a generator": (RIGHT._replace(ask=Counter().ask), "same members when it is called again"),
    "one member": (RIGHT._replace(ask=lambda state, ids=None: state.mean), r"must have leaves \[population_size"),
    "all members": (RIGHT._replace(ask=lambda state, ids=None: ask(state)), "must give those members of ask"),
    "the next key": (RIGHT._replace(tell=next_key), "tell must leave the key as it is"),
    "another dtype": (RIGHT._replace(tell=half), r"\.sigma float32\[\] -> \.sigma float16\[\]"),
    "no info": (RIGHT._replace(tell=lambda s, f: (tell(s, f)[0], {})), r"must return \(state, jaxes.Info\), got dict"),
    "no step": (
        RIGHT._replace(tell=lambda s, f: (tell(s, f)[0]._replace(step=s.step), tell(s, f)[1])),
        "add 1 to step",
    ),
    "NaN is the best": (RIGHT._replace(tell=nan_is_best), "must stay finite where one fitness is NaN"),
    "a lost generation": (RIGHT._replace(tell=forgets), "without a valid fitness must leave the answer as it was"),
    "the whole state": (RIGHT._replace(recommend=lambda state: state), "recommend"),
    "a loop in Python": (
        RIGHT._replace(tell=lambda s, f: tell(s, f if f[0] < 1e9 else -f)),
        "TracerBoolConversionError",
    ),
}


def test_a_strategy_that_is_right():
    jaxes.check(RIGHT)
    jaxes.check(RIGHT, jnp.ones(3))


@pytest.mark.parametrize("name", WRONG)
def test_one_that_breaks_a_promise(name):
    strategy, sentence = WRONG[name]
    with pytest.raises(ValueError, match=rf"(?s)breaks what every strategy promises:.*{sentence}"):
        jaxes.check(strategy)


def test_what_is_no_strategy():
    with pytest.raises(TypeError, match=r"such as jaxes.cma_es\(population_size\), got the factory cma_es"):
        jaxes.check(jaxes.cma_es)


@pytest.mark.parametrize("name", ["open_es", "cma_es", "simple_ga", "differential_evolution"])
def test_ours(name):
    jaxes.check(jaxes.STRATEGIES[name](8))
    jaxes.check(jaxes.wrappers.keep_best(jaxes.STRATEGIES[name](8)))
