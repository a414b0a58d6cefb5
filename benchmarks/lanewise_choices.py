"""Places in arrays that a lane computes: by choices in the program, and left to `vmap`, by the size of the array.

python benchmarks/lanewise_choices.py; prints microseconds a step.
"""

import functools
import warnings

import _measure
import jax
import jax.numpy as jnp
from jax import lax

import jaxes
from jaxes.lanewise import indexing, program


def look(x, i):
    """One element is read."""
    return x, (i * 7 + x[i].astype(jnp.int32) + 1) % x.shape[0]


def update(x, i):
    """One element is changed, and another one read."""
    return look(x.at[i].add(1.0), i)


def several(step, count: int = 50):
    return lambda x, i: lax.fori_loop(0, count, lambda _, c: step(*c), (x, i))


def main():
    warnings.simplefilter("ignore")
    kinds = {"vmap": None, "choices": 10**6, "left to vmap": 0, "as it is": None}
    for lanes in (64, 512):
        for size in (16, 64, 128, 256, 512, 1024):
            for step in (look, update):
                x, i = jnp.ones((lanes, size)), jnp.arange(lanes) % size
                calls = {}
                for kind, most in kinds.items():
                    program.FEW_CHOICES, program.MOST_CHOICES = (
                        (most, most) if most is not None else (indexing.FEW_CHOICES, indexing.MOST_CHOICES)
                    )
                    one = step if kind == "vmap" else jaxes.lanewise(step)
                    calls[kind] = functools.partial(jax.jit(several(jax.vmap(one))).lower(x, i).compile(), x, i)
                rows = _measure.interleaved(calls, 9)
                told = ", ".join(f"{kind} {row['min'] / 50 * 1e6:.1f}" for kind, row in rows.items())
                print(f"{lanes} lanes, {size} elements, {step.__name__}: {told}", flush=True)


if __name__ == "__main__":
    main()
