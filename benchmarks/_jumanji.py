"""Placements a second of jumanji's Tetris, choosing as `benchmarks/tetris.py` does; prints them as JSON.

Needs jumanji (`pip install jumanji`), nothing of jaxes, so that it can run in an environment of its own.
"""

import json
import statistics
import sys
import time

import jax
import jax.numpy as jnp
from jumanji.environments.packing.tetris.env import Tetris

ROWS, COLUMNS = 20, 10


def features(grid):
    """Bertsekas's of a board, float32[22]; grid int[rows, columns], the top row first."""
    full = grid > 0
    height = jnp.max(jnp.where(full, jnp.arange(ROWS, 0, -1)[:, None], 0), axis=0)
    holes = jnp.sum(height) - jnp.sum(full)
    parts = [height, jnp.abs(jnp.diff(height)), jnp.max(height)[None], holes[None], jnp.ones(1, jnp.int32)]
    return jnp.concatenate(parts).astype(jnp.float32)


def main(weights: list[float], lanes: int, steps: int, rounds: int) -> None:
    env = Tetris(num_rows=ROWS, num_cols=COLUMNS, time_limit=10**9)
    actions = jnp.stack(jnp.meshgrid(jnp.arange(4), jnp.arange(COLUMNS), indexing="ij"), -1).reshape(-1, 2)
    weights = jnp.asarray(weights)

    def step(state, key):
        after, moment = jax.vmap(env.step, in_axes=(None, 0))(state, actions)
        values = jax.vmap(features)(moment.observation.grid) @ weights
        best = jnp.argmax(jnp.where(state.action_mask.reshape(-1), values, -jnp.inf))
        chosen, over = jax.tree.map(lambda x: x[best], (after, moment.last()))
        fresh, _ = env.reset(key)
        return jax.tree.map(lambda a, b: jnp.where(over, a, b), fresh, chosen), chosen.full_lines.sum()

    @jax.jit
    def run(states, key):
        keys = jax.random.split(key, (steps, lanes))
        return jax.lax.scan(lambda s, k: jax.vmap(step)(s, k), states, keys)

    states, _ = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), lanes))
    rates, lines = [], 0
    for turn in range(rounds + 1):
        start = time.perf_counter()
        states, cleared = jax.block_until_ready(run(states, jax.random.key(turn)))
        lines = int(cleared.sum())
        rates.append(lanes * steps / (time.perf_counter() - start))
    rates = rates[1:]  # the first compiles
    print(
        json.dumps({"best": max(rates), "median": statistics.median(rates), "rows a placement": lines / lanes / steps})
    )


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
