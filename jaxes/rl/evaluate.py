"""How good one set of parameters is: full episodes without noise, on held-out keys."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxes.envs import contract
from jaxes.envs.protocol import Env
from jaxes.rl.accounting import State
from jaxes.rl.episodes import Episodes, play
from jaxes.rl.lanes import in_lanes
from jaxes.rl.normalizer import Normalizer
from jaxes.rl.policies.policy import Policy, checked
from jaxes.rl.settings import LANEWISE
from jaxes.support import checks


def evaluation(
    env: Env,
    policy: Policy,
    *,
    episodes: int = 16,
    lanewise: Literal["auto", "on", "fast", "off"] = "auto",
    workers: int | None = None,
    ray: str | None = None,
) -> Callable[[Any, Normalizer | State | None, jax.Array], Episodes]:
    """A function that plays full episodes with one set of parameters, without noise.

    Args:
        env: played to its own time limit.
        policy: what acts.
        episodes: how many. Give the function a key from which no training episode is derived.
        lanewise: whether resets and steps run as one program for all lanes, see `jaxes.rl.rollout`.
        workers: which processes play an environment that runs on CPUs, see `jaxes.rl.rollout`.
        ray: likewise.

    Returns:
        `fn(params, normalizer, key) -> Episodes` with leaves [episodes]: compile it once by `jax.jit` and call it
        often. For an environment that runs on CPUs it is a plain function, not to be compiled. In place of a normalizer
        (or None) it takes the state of a rollout too, which holds one: so it is what `jaxes.fit(evaluate=...)` wants.

    Raises:
        ValueError: if `episodes` is not an int of 1 or more.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/CyclicMDP", max_steps=20)
    >>> policy = rl.mlp(env, (), head="categorical")
    >>> evaluate = jax.jit(rl.evaluation(env, policy, episodes=3))
    >>> evaluate(policy.init(jax.random.key(0)), None, jax.random.key(1)).returns.shape
    (3,)
    """
    env, policy = contract.checked(env), checked(policy)
    checks.count("episodes", episodes)
    checks.one_of("lanewise", lanewise, LANEWISE)
    if env.lanes is not None:
        from jaxes.rl.host.engine import evaluation as on_cpus  # needs jax.export, and with it a package of its own

        play_on_cpus = on_cpus(env, policy, episodes, workers=workers, ray=ray)
        return lambda params, normalizer, key: play_on_cpus(params, _normalizer(normalizer), key)

    env = in_lanes(env, lanewise)

    def run(params, normalizer, key):
        normalizer = _normalizer(normalizer)
        member = lambda: jax.tree.map(lambda x: x[None], params)
        keys = jax.random.split(key, (1, episodes))
        out = play(env, policy, member, keys, normalizer, env.max_steps, check_every=25)
        only = {name: getattr(out, name)[0] for name in ("returns", "lengths", "episodes", "truncated")}
        return out._replace(**only)

    return run


def _normalizer(given: Any) -> Normalizer | None:
    found = getattr(given, "normalizer", given)
    if found is not None and not isinstance(found, Normalizer):
        raise TypeError(
            "normalizer must be a jaxes.rl.Normalizer, None for raw observations, or the state of a jaxes.rl.rollout, "
            f"got {type(given).__name__}"
        )
    return found


def uncapped_mean(episodes: Episodes) -> tuple[jax.Array, jax.Array]:
    """The mean return that episodes would have without a time limit, if returns are distributed exponentially.

    This is the maximum likelihood estimate for censored exponential data: the sum of all returns, including those of
    truncated episodes, divided by the number of episodes that ended by themselves. It suits games that go on until an
    accident, such as Tetris. Where no episode was truncated it is the plain mean.

    Args:
        episodes: from `jaxes.rl.evaluation`, leaves [episodes], with one episode in each slot.

    Returns:
        The estimate and its standard error, both float32[]; infinite where every episode was truncated.

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
