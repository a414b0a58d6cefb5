"""Counts beyond 2^32 without 64-bit integers."""

import jax
import jax.numpy as jnp
import pytest

from jaxes.support.counter import Counter


def test_counts_beyond_two_words():
    plus = jax.jit(Counter.plus)
    counter, expected = Counter.zero(), 0
    for amount in (1, 2**31, 2**32 - 1, 5, 2**32 - 1, 0, 2**31 - 1):
        counter, expected = plus(counter, jnp.uint32(amount)), expected + amount
        assert int(counter) == expected
    assert expected > 2**33


@pytest.mark.parametrize("start", [2**32 - 1, 2**33 - 1, 2**63])
def test_carries(start):
    counter = Counter(jnp.uint32(start % 2**32), jnp.uint32(start // 2**32))
    assert int(counter.plus(jnp.uint32(1))) == start + 1
    assert int(counter.plus(jnp.int32(3))) == start + 3


def test_in_a_scan():
    fill = jax.jit(lambda c: jax.lax.scan(lambda c, x: (c.plus(x), None), c, jnp.full(100, 2**31, jnp.uint32))[0])
    assert int(fill(Counter.zero())) == 100 * 2**31
