"""Runs of one small rollout on 1 to 8 devices, for test_parallel.py: prints a JSON object of digests."""

import functools
import hashlib
import json
import sys

import jax
import numpy as np
import toys

import jaxes
from jaxes import noise, parallel, rl, shaping
from jaxes.problem import generation_with_fitness

GENERATIONS = 4


def setting(kind: str):
    env = toys.chase()
    policy = rl.mlp(env, (8,))
    options = {"noise": noise.low_rank(), "shaping": shaping.z_score()} if kind == "low_rank" else {}
    strategy = jaxes.open_es(32, 0.1, learning_rate=0.05, blocks=8, **options)
    problem = rl.rollout(env, policy, max_steps=20, lanes=2)
    params = policy.init(jax.random.key(0))
    return strategy, problem, (strategy.init(jax.random.key(1), params), problem.init(jax.random.key(2)))


def digest(tree) -> str:
    data = jax.tree.map(lambda x: np.asarray(parallel.local(x)), tree)
    return hashlib.sha256(b"".join(x.tobytes() for x in jax.tree.leaves(data))).hexdigest()


def row(carry, fitness) -> dict:
    theta = np.concatenate([np.ravel(x) for x in jax.tree.leaves(parallel.local(carry[0].mean))])
    return {"sha": digest((carry[0].mean, carry[1].normalizer, fitness)), "mean": theta.tolist()}


def rounding() -> dict:
    """The parameters after two generations on one device and on four."""
    strategy, problem, carry = setting("gaussian")
    run = lambda carry: jax.lax.scan(jaxes.generation(strategy, problem), carry, length=2)[0]
    ways = {"1": jax.jit(run), "4": jax.jit(parallel.spread(run, parallel.mesh(4)))}
    return {devices: row(way(carry), ())["mean"] for devices, way in ways.items()}


def main() -> None:
    jax.config.update("jax_num_cpu_devices", 8)
    if sys.argv[1:] == ["rounding"]:
        json.dump(rounding(), sys.stdout)
        return
    rows = {}
    for kind in ("gaussian", "low_rank"):
        strategy, problem, carry = setting(kind)

        def run(carry, comm="blocks", strategy=strategy, problem=problem):
            return jax.lax.scan(generation_with_fitness(strategy, problem, comm), carry, length=GENERATIONS)

        ways = {"one device": jax.jit(run)}
        meshes = [(8, "blocks"), (2, "scalars")] if kind == "gaussian" else [(4, "blocks"), (4, "psum")]
        for devices, comm in meshes:
            spread = jax.jit(parallel.spread(functools.partial(run, comm=comm), parallel.mesh(devices)))
            ways[f"{devices} devices, {comm}"] = spread
        for name, way in ways.items():
            end, (_, fitness) = way(carry)
            rows[f"{kind}, {name}"] = row(end, fitness)
        if kind == "gaussian":
            sent = parallel.traffic(spread.lower(carry).compile())
            rows["traffic"] = {"sent": sum(x.bytes for x in sent), "members": strategy.population_size}
            every = jax.pmap(
                lambda carry, _, run=run: run(carry),
                axis_name=parallel.AXIS,
                in_axes=(None, 0),
                devices=jax.devices()[:2],
            )
            end, (_, fitness) = jax.tree.map(lambda x: x[0], every(carry, np.arange(2)))
            rows["gaussian, pmap"] = row(end, fitness)
            step, end, told = parallel.block_by_block(strategy, problem, jax.devices()[:3]), carry, []
            for _ in range(GENERATIONS):
                end, (_, fitness) = step(end)
                told.append(fitness)
            rows["gaussian, block by block on 3 devices"] = row(end, np.stack(told))
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
