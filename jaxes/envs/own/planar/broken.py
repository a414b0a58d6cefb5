"""Physics that has come to numbers which are not finite."""

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import EnvState


def ended(state: EnvState) -> EnvState:
    """`state`; if a number of its physics, observation or reward is NaN or infinite, the end of its episode.

    The reward is then NaN, so that the member ranks below all others and counts as invalid (`Info.invalid`); the
    observation is 0, so that no normalizer learns from it.

    >>> import jax.numpy as jnp
    >>> broken = ended(EnvState(jnp.float32(jnp.inf), jnp.ones(2), jnp.float32(1), jnp.bool_(False)))
    >>> broken.observation.tolist(), broken.reward.item(), broken.done.item()
    ([0.0, 0.0], nan, True)
    """
    numbers = jax.tree.leaves((state.physics, state.observation, state.reward))
    fine = [jnp.isfinite(x).all() for x in numbers if jnp.issubdtype(x.dtype, jnp.floating)]
    fine = jnp.stack(fine).all()
    return state._replace(
        observation=jax.tree.map(lambda x: jnp.where(fine, x, jnp.zeros_like(x)), state.observation),
        reward=jnp.where(fine, state.reward, jnp.nan),
        done=state.done | ~fine,
    )
