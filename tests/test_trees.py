"""Parameters of every kind of tree, through ask, tell, recommend, run and rollouts."""

import dataclasses
from typing import Any, NamedTuple

import flax.struct
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.core import FrozenDict
from table import TABLE
from toys import chase

import jaxes
from jaxes import rl

N = 4
KEY = jax.random.key(5)
settings = hypothesis.settings(deadline=None, database=None, derandomize=True, max_examples=25)
few = hypothesis.settings(settings, max_examples=4)


class Pair(NamedTuple):
    first: Any
    second: Any


@flax.struct.dataclass
class Layer:
    kernel: Any
    bias: Any = None
    name: str = flax.struct.field(pytree_node=False, default="layer")


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Plain:
    w: Any
    rest: Any


dtypes = st.sampled_from([jnp.float32, jnp.float32, jnp.bfloat16, jnp.float16])
shapes = st.sampled_from([(), (1,), (2,), (3,), (1, 2), (2, 2), (2, 3), (2, 1, 2)])


@st.composite
def arrays(draw):
    shape = draw(shapes)
    return jnp.linspace(-1.0, 1.0, max(1, int(np.prod(shape)))).reshape(shape).astype(draw(dtypes))


def containers(inner):
    return st.one_of(
        st.tuples(inner, inner),
        st.lists(inner, min_size=1, max_size=2),
        st.dictionaries(st.sampled_from(["a", "b", "w"]), inner, min_size=1, max_size=2),
        st.builds(Pair, inner, inner),
        st.builds(Layer, inner, st.one_of(st.none(), inner)),
        st.builds(Plain, inner, inner),
        st.dictionaries(st.sampled_from(["x", "y"]), inner, min_size=1, max_size=2).map(FrozenDict),
    )


leaves = st.one_of(arrays(), arrays(), st.none(), st.just(()))
trees = st.recursive(leaves, containers, max_leaves=4).filter(lambda tree: jax.tree.leaves(tree))


def kinds(tree):
    """Its structure, and the shape and dtype of every leaf."""
    return jax.tree.map(lambda x: (jnp.shape(x), jnp.result_type(x)), tree)


def height(member):
    return -sum(jnp.sum((x.astype(jnp.float32) - 0.5) ** 2) for x in jax.tree.leaves(member))


def members_of(params):
    return jax.tree.map(lambda x: ((N, *x.shape), x.dtype), params)


FACTORIES = ["open_es", "snes", "cma_es", "simple_ga", "differential_evolution", "particle_swarm", "cem", "gesmr_ga"]


@pytest.mark.parametrize("name", [*FACTORIES, "open_es, low_rank"])
@settings
@hypothesis.given(params=trees)
def test_what_is_asked_and_recommended_is_like_the_parameters(name, params):
    factory, _, noise = name.partition(", ")
    strategy = TABLE[factory].make(N, **({"noise": noise} if noise else {}))

    def generation(key):
        state = strategy.init(key, params)
        population = jaxes.materialize(strategy.ask(state))
        state, info = strategy.tell(state, jax.vmap(height)(population))
        some = jaxes.materialize(strategy.ask(state, jnp.array([3, 1])))
        return population, some, strategy.recommend(state), info

    population, some, recommended, info = jax.eval_shape(generation, KEY)
    assert kinds(population) == members_of(params)
    assert kinds(some) == jax.tree.map(lambda x: ((2, *x.shape), x.dtype), params)
    assert kinds(recommended) == kinds(params)
    assert info.best.shape == ()


@pytest.mark.parametrize("name", ["open_es", "open_es, low_rank", "cma_es"])
@few
@hypothesis.given(params=trees)
def test_members_climb_whatever_the_tree(name, params):
    """The numbers too: of a whole run, and of members asked for one by one."""
    factory, _, noise = name.partition(", ")
    strategy = TABLE[factory].make(N, **({"noise": noise} if noise else {}))
    state = strategy.init(KEY, params)
    population = jaxes.materialize(strategy.ask(state))
    for i in (0, N - 1):
        one = jax.tree.map(lambda x: x[0], jaxes.materialize(strategy.ask(state, jnp.array([i]))))
        for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(population), strict=True):
            np.testing.assert_allclose(x.astype(jnp.float32), y[i].astype(jnp.float32), rtol=2e-2, atol=2e-2)
    state, infos = jaxes.run(strategy, height, state, generations=3)
    assert jax.tree.structure(strategy.recommend(state)) == jax.tree.structure(params)
    assert np.isfinite(infos.best).all()
    assert float(height(strategy.recommend(state))) > float(height(params)) - 0.5


@pytest.mark.parametrize("noise", ["gaussian", "low_rank"])
@few
@hypothesis.given(rest=trees)
def test_a_rollout_plays_a_policy_of_any_tree(noise, rest):
    """What a policy does not read is carried along: None, and structures of every kind."""
    env = chase()
    inner = rl.mlp(env, hidden=(3,))
    policy = inner._replace(
        init=lambda key: {"net": inner.init(key), "rest": rest, "none": None},
        act=lambda params, *seen: inner.act(params["net"], *seen),
    )
    problem = rl.rollout(env, policy, max_steps=5, normalize=False)
    params = policy.init(KEY)
    strategy = jaxes.open_es(N, 0.1, noise=noise)
    carry = strategy.init(KEY, params), problem.init(KEY)
    (state, _), info = jaxes.generation(strategy, problem)(carry)
    assert kinds(strategy.recommend(state)) == kinds(params)
    assert np.isfinite(float(info.best))


@pytest.mark.parametrize("noise", ["gaussian", "low_rank"])
def test_a_state_of_nnx(noise):
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    graph, params = nnx.split(model, nnx.Param)
    strategy = jaxes.open_es(N, 0.1, noise=noise)
    apply = lambda params, x: nnx.merge(graph, params)(x)
    state, infos = jaxes.run(
        strategy,
        lambda member: -jnp.sum((apply(member, jnp.ones(3)) - 1) ** 2),
        strategy.init(KEY, params),
        generations=3,
    )
    recommended = strategy.recommend(state)
    assert jax.tree.structure(recommended) == jax.tree.structure(params)
    assert apply(recommended, jnp.ones(3)).shape == (2,) and np.isfinite(infos.best).all()


@pytest.mark.parametrize("noise", ["gaussian", "low_rank"])
def test_an_equinox_module(noise):
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(3, 2, 4, 1, use_bias=False, key=KEY)
    params, static = eqx.partition(model, eqx.is_inexact_array)
    assert any(x is None for x in jax.tree.leaves(params, is_leaf=lambda x: x is None))
    strategy = jaxes.open_es(N, 0.1, noise=noise)
    objective = lambda member: -jnp.sum((eqx.combine(member, static)(jnp.ones(3)) - 1) ** 2)
    state, infos = jaxes.run(strategy, objective, strategy.init(KEY, params), generations=3)
    assert jax.tree.structure(strategy.recommend(state)) == jax.tree.structure(params)
    assert np.isfinite(infos.best).all()
