"""Generations of a Brax environment as one program a lane, on 1 to 8 devices: prints an object of digests."""

import json
import sys

import jax
from spread_runs import digest

import jaxes
from jaxes import parallel, rl
from jaxes.problem import generation_with_fitness


def main() -> None:
    jax.config.update("jax_num_cpu_devices", 8)
    env = jaxes.envs.make("brax/inverted_pendulum")
    policy = rl.mlp(env, (8,))
    strategy = jaxes.open_es(16, 0.1, learning_rate=0.05, blocks=8)
    problem = rl.rollout(env, policy, max_steps=24, lanes=1, lanewise="on")
    carry = (strategy.init(jax.random.key(1), policy.init(jax.random.key(0))), problem.init(jax.random.key(2)))
    run = lambda carry: jax.lax.scan(generation_with_fitness(strategy, problem, "blocks"), carry, length=3)
    digests = {}
    for devices in (1, 2, 4, 8):
        way = jax.jit(run if devices == 1 else parallel.spread(run, parallel.mesh(devices)))
        end, (_, fitness) = way(carry)
        digests[devices] = digest((end[0].mean, end[1].normalizer, fitness))
    json.dump(digests, sys.stdout)


if __name__ == "__main__":
    main()
