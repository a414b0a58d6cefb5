"""Virtual batch normalization (Salimans et al. 2016, "Improved techniques for training GANs").

Every feature is normalized by its mean and variance over a reference batch, which is chosen once and run under the
member's own parameters. Salimans et al. 2017 use it for Atari; as there, the statistics leave out the example itself.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

COLLECTION = "reference"  # of linen variables: the statistics
AXIS = "reference"  # of vmap: the batch


class VirtualBatchNorm(nn.Module):
    """Normalizes one example [..., features] by statistics of the reference batch, for each feature.

    Apply it with the collection "reference" mutable, under `jax.vmap(axis_name="reference")` over the batch, to take
    the statistics of its input over the batch and over all axes but the last; one forward pass does so in all layers.
    Applied otherwise it uses them. `jaxes.rl.policy` takes them at the beginning of every episode.

    >>> import jax, jax.numpy as jnp
    >>> from jaxes.rl import VirtualBatchNorm
    >>> layer, batch = VirtualBatchNorm(), jnp.array([[1.0], [3.0]])
    >>> params = {"params": layer.init(jax.random.key(0), batch[0])["params"]}
    >>> collect = lambda x: layer.apply(params, x, mutable=["reference"])[1]
    >>> statistics = jax.vmap(collect, axis_name="reference", out_axes=None)(batch)
    >>> layer.apply({**params, **statistics}, jnp.array([4.0])).round(2).tolist()
    [2.0]
    """

    epsilon: float = 1e-5  # added to the variance

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, size)
        bias = self.param("bias", nn.initializers.zeros, size)
        mean = self.variable(COLLECTION, "mean", jnp.zeros, size, x.dtype)
        variance = self.variable(COLLECTION, "variance", jnp.ones, size, x.dtype)
        axes = tuple(range(x.ndim - 1))
        wide = lambda v: lax.expand_dims(v, axes)
        if self.is_mutable_collection(COLLECTION) and not self.is_initializing():
            mean.value = lax.pmean(jnp.mean(x, axes), AXIS)
            variance.value = lax.pmean(jnp.mean(jnp.square(x - wide(mean.value)), axes), AXIS)
        return (x - wide(mean.value)) * wide(scale * lax.rsqrt(variance.value + self.epsilon)) + wide(bias)
