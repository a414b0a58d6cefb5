"""What the observation normalizer adds to a rollout's temporary memory: brax/ant, 256 members x 1000 steps.

python benchmarks/rollout_memory.py; writes benchmarks/results/rollout_memory.json. Compiles only, runs nothing.
"""

import importlib.metadata

import _measure
import jax
import jax.numpy as jnp

import jaxes
from jaxes import rl

MEMBERS, STEPS, BOUND = 256, 1000, 1.01


def temporary_bytes(env, policy, normalize: bool) -> int:
    problem = rl.rollout(env, policy, max_steps=STEPS, normalize=normalize)
    member = jax.eval_shape(policy.init, jax.random.key(0))
    members = jax.tree.map(lambda x: jax.ShapeDtypeStruct((MEMBERS, *x.shape), x.dtype), member)
    state = problem.init(jax.random.key(0))
    evaluate = lambda state, key, members: problem.evaluate(state, key, lambda: members, jnp.arange(MEMBERS))
    return _measure.compiled(evaluate, state, jax.random.key(1), members)[2]


def main():
    env = jaxes.envs.make("brax/ant", backend="spring")
    policy = rl.mlp(env, hidden=(64, 64))
    size = {on: temporary_bytes(env, policy, on) for on in (False, True)}
    ratio = size[True] / size[False]
    print(f"without {size[False]:,} B, with {size[True]:,} B: x {ratio:.4f} (bound {BOUND})")
    stacked = MEMBERS * STEPS * 4 * jaxes.envs.observation_size(env)
    _measure.save(
        "rollout_memory",
        {
            "brax": importlib.metadata.version("brax"),
            "setting": f"brax/ant spring, {MEMBERS} members x {STEPS} steps, 64-64 policy, problem.evaluate compiled",
            "without_normalizer_bytes": size[False],
            "with_normalizer_bytes": size[True],
            "ratio": ratio,
            "bound": BOUND,
            "met": ratio <= BOUND,
            "stacked_observations_would_be_bytes": stacked,
        },
    )


if __name__ == "__main__":
    main()
