"""How long episodes would have been without their time limit."""

import jax
import jax.numpy as jnp

from jaxes.rl.episodes import Episodes


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
