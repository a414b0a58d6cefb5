"""How good one set of parameters is: full episodes, no noise, on held-out keys."""

from collections.abc import Callable
from typing import Any

import jax

from jaxes.envs.protocol import Env
from jaxes.rl.episodes import Episodes, play
from jaxes.rl.normalizer import Normalizer
from jaxes.rl.policies.policy import Policy


def evaluation(
    env: Env, policy: Policy, *, episodes: int = 16, workers: int | None = None, ray: str | None = None
) -> Callable[[Any, Normalizer | None, jax.Array], Episodes]:
    """`fn(params, normalizer, key) -> Episodes` with leaves [episodes]: what to `jit` once and call often.

    Of an environment that runs on CPUs (`env.lanes`) it is a plain function, not to be compiled.

    Args:
        env: played to its own time limit.
        episodes: how many; fold the key so that no training episode has it.
        workers, ray: who plays an environment that runs on CPUs, see `jaxes.rl.rollout`.
    """
    if isinstance(episodes, bool) or not isinstance(episodes, int) or episodes < 1:
        raise ValueError(f"episodes must be an int of 1 or more, got {episodes!r}")
    if env.lanes is not None:
        from jaxes.rl.host.engine import evaluation as on_cpus

        return on_cpus(env, policy, episodes, workers=workers, ray=ray)

    def run(params, normalizer, key):
        member = lambda: jax.tree.map(lambda x: x[None], params)
        keys = jax.random.split(key, (1, episodes))
        out = play(env, policy, member, keys, normalizer, env.max_steps, check_every=25)
        only = {name: getattr(out, name)[0] for name in ("returns", "lengths", "episodes", "truncated")}
        return out._replace(**only)

    return run
