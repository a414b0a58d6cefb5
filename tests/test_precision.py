"""The policy of precision: strategies and sums over members compute at HIGHEST, a user's model as the user says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend import core
from table import ALL, tree

import jaxes
from jaxes import lowrank

PRODUCTS = ("dot_general", "conv_general_dilated")
HIGHEST = (lax.Precision.HIGHEST, lax.Precision.HIGHEST)


def products(jaxpr):
    """The precision of every product of floats, through all jaxprs inside."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in PRODUCTS and jnp.issubdtype(eqn.outvars[0].aval.dtype, jnp.floating):
            yield eqn.params["precision"]
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if isinstance(inner, core.ClosedJaxpr | core.Jaxpr):
                    yield from products(getattr(inner, "jaxpr", inner))


def search(strategy, params, fitness):
    def generation(key):
        state = strategy.init(key, params)
        state, info = strategy.tell(state, fitness)
        spread = strategy.deviations(state) if strategy.deviations else ()
        return state, info, strategy.ask(state), strategy.recommend(state), spread

    return generation


@pytest.mark.parametrize("precision", ["bfloat16", "tensorfloat32"])
@pytest.mark.parametrize("name", ALL)
def test_the_algebra_of_a_strategy_is_exact(name, precision):
    with jax.default_matmul_precision(precision):
        generation = search(ALL[name].make(8), tree(), jnp.arange(8.0))
        assert set(products(jax.make_jaxpr(generation)(jax.random.key(0)).jaxpr)) <= {HIGHEST}


@pytest.mark.parametrize("noise", jaxes.noise.NOISES)
def test_perturbations_their_sums_and_dense_members_are_exact(noise):
    params = {"w": jnp.ones((16, 8)), "stack": jnp.ones((2, 4, 4)), "b": jnp.ones(3)}
    strategy = jaxes.open_es(8, 0.1, noise=noise)

    def generation(key):
        state = strategy.init(key, params)
        return strategy.tell(state, jnp.arange(8.0))[0].mean, jaxes.materialize(strategy.ask(state))

    with jax.default_matmul_precision("bfloat16"):
        assert set(products(jax.make_jaxpr(generation)(jax.random.key(0)).jaxpr)) <= {HIGHEST}


def test_the_default_precision_changes_no_bit_of_a_search():
    run = lambda: jax.jit(search(jaxes.cma_es(8, 0.5), jnp.ones(6), jnp.arange(8.0)))(jax.random.key(0))
    expected = run()
    for precision in ("bfloat16", "tensorfloat32"):
        jax.clear_caches()
        with jax.default_matmul_precision(precision):
            for x, y in zip(jax.tree.leaves(run()[1:4]), jax.tree.leaves(expected[1:4]), strict=True):
                np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("precision", [None, "bfloat16", "highest"])
def test_inside_a_model_the_precision_is_the_users(precision):
    """Every product of a model of low rank has the precision that the product of the dense model has."""
    params = {"w": jnp.ones((6, 4)), "kernel": jnp.ones((3, 2, 5))}
    numbers = ("NWC", "WIO", "NWC")

    def apply(p, x):
        own = x.reshape(1, 3, 2)
        return x @ p["w"], lax.conv_general_dilated(own, p["kernel"], (1,), "SAME", dimension_numbers=numbers)

    strategy = jaxes.open_es(4, 0.1, noise=jaxes.noise.low_rank(2))
    members = strategy.ask(strategy.init(jax.random.key(0), params))
    one = lowrank.whole(lowrank.common(members), jax.tree.map(lambda x: x[0], lowrank.own(members)))
    with jax.default_matmul_precision(precision):
        dense = set(products(jax.make_jaxpr(apply)(params, jnp.ones(6)).jaxpr))
        low = set(products(jax.make_jaxpr(lowrank.structured(apply))(one, jnp.ones(6)).jaxpr))
    assert low == dense and len(dense) == 1


def test_the_rows_of_an_embedding_are_exact():
    """A dense model looks them up, so that nothing is rounded; neither is the part of low rank."""
    apply = lambda p, i: p["table"][i]
    strategy = jaxes.open_es(4, 0.1, noise=jaxes.noise.low_rank(2))
    members = strategy.ask(strategy.init(jax.random.key(0), {"table": jnp.ones((10, 4))}))
    one = lowrank.whole(lowrank.common(members), jax.tree.map(lambda x: x[0], lowrank.own(members)))
    with jax.default_matmul_precision("bfloat16"):
        low = list(products(jax.make_jaxpr(lowrank.structured(apply))(one, jnp.int32(3)).jaxpr))
    assert low and set(low) == {HIGHEST}
