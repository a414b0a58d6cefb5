"""Memory of a rollout, brax/ant, 256 members x 1000 steps: with the normalizer, and beside evosax's problem class.

python benchmarks/rollout_memory.py; writes benchmarks/results/rollout_memory.json. Compiles only, runs nothing.
"""

import importlib.metadata

import _measure
import jax
import jax.numpy as jnp

import jaxes
from jaxes import rl

MEMBERS, STEPS, BOUND, TIMES_LESS = 256, 1000, 1.01, 100


def needed(fn, *args) -> dict[str, int]:
    """Bytes that the compiled program holds beside its arguments."""
    memory = jax.jit(fn).lower(*args).compile().memory_analysis()
    return {"temporary": memory.temp_size_in_bytes, "results": memory.output_size_in_bytes}


def population(params):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((MEMBERS, *x.shape), x.dtype), params)


def ours(env, policy, normalize: bool) -> dict[str, int]:
    problem = rl.rollout(env, policy, max_steps=STEPS, normalize=normalize)
    state = problem.init(jax.random.key(0))

    def evaluate(state, key, members):
        ask = lambda ids=None: members if ids is None else jax.tree.map(lambda x: x[ids], members)
        return problem.evaluate(state, key, ask, jnp.arange(MEMBERS))

    return needed(evaluate, state, jax.random.key(1), population(jax.eval_shape(policy.init, jax.random.key(0))))


class PeersPolicy(rl.MLP):
    """The same network, with the key that evosax gives a policy and the tanh of our head."""

    def __call__(self, x, key):
        return jnp.tanh(super().__call__(x))


def evosaxs() -> dict[str, int]:
    from evosax.problems import BraxProblem

    found = []
    # Traced, since the constructor resets the environment without compiling it, which takes minutes.
    build = lambda: found.append(BraxProblem("ant", PeersPolicy((64, 64, 8)), STEPS)) or 0
    with jax.numpy_dtype_promotion("standard"):
        jax.eval_shape(build)
        key, peer = jax.random.key(0), found[0]
        params, state = jax.eval_shape(peer.sample, key), jax.eval_shape(peer.init, key)
        return needed(lambda key, members, state: peer.eval(key, members, state), key, population(params), state)


def main():
    env = jaxes.envs.make("brax/ant", backend="spring")
    policy = rl.mlp(env, hidden=(64, 64))
    size = {on: ours(env, policy, on) for on in (False, True)}
    peer = evosaxs()
    ratio = size[True]["temporary"] / size[False]["temporary"]
    less = sum(peer.values()) / sum(size[True].values())
    print(f"without {size[False]}, with {size[True]} B: x {ratio:.4f} (at most {BOUND})")
    print(f"evosax {peer} B: {less:.0f} times as much (at least {TIMES_LESS})")
    _measure.save(
        "rollout_memory",
        {
            "brax": importlib.metadata.version("brax"),
            "evosax": importlib.metadata.version("evosax"),
            "setting": f"brax/ant spring, {MEMBERS} members x {STEPS} steps, 64-64 policy, evaluation of a population",
            "without normalizer, bytes": size[False],
            "with normalizer, bytes": size[True],
            "evosax, bytes": peer,
            "bounds": {
                "memory of an ant rollout, with normalizer / without": {
                    "measured": ratio,
                    "at_most": BOUND,
                    "reached": ratio <= BOUND,
                },
                "memory of an ant rollout, 256 members x 1000 steps, evosax / jaxes": {
                    "measured": less,
                    "at_least": TIMES_LESS,
                    "reached": less >= TIMES_LESS,
                },
            },
        },
    )


if __name__ == "__main__":
    main()
