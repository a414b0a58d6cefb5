"""How good one set of parameters is: full episodes, no noise, on held-out keys."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Env
from jaxes.rl.episodes import Episodes, play
from jaxes.rl.normalizer import Normalizer
from jaxes.rl.policies.policy import Policy
from jaxes.support import checks


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
    checks.count("episodes", episodes)
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


def uncapped_mean(episodes: Episodes) -> tuple[jax.Array, jax.Array]:
    """The mean return of an episode without time limit, where returns are spread exponentially.

    The maximum likelihood estimate for censored exponential data: the sum of all returns, those of truncated episodes
    included, over the number of episodes that ended by themselves. So it is for games that go on until an accident,
    such as Tetris; where no episode was truncated it is the plain mean.

    Args:
        episodes: from `jaxes.rl.evaluation`, one episode a place.

    Returns:
        The estimate and its standard error, float32[] both; infinite where every episode was truncated.

    >>> import jax.numpy as jnp
    >>> from jaxes import rl
    >>> returns, one, cut = jnp.array([10.0, 50.0, 50.0]), jnp.array([1, 1, 1]), jnp.array([0, 1, 1])
    >>> cut = rl.Episodes(returns, one, one, cut, jnp.uint32(3), ())
    >>> [float(x) for x in rl.uncapped_mean(cut)]
    [110.0, 110.0]
    """
    ended = jnp.sum(episodes.episodes - episodes.truncated).astype(jnp.float32)
    mean = jnp.sum(episodes.returns) / ended
    return mean, mean * jax.lax.rsqrt(ended)
