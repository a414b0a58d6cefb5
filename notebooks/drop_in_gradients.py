# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A gradient to drop in
# `jaxes.es_value_and_grad` stands where `jax.value_and_grad` would: it needs a key, and a function that need not be
# differentiable. The rest of an optax loop stays as it is.

# %%
import os

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import jaxes

QUICK = os.environ.get("JAXES_NOTEBOOK") == "quick"  # as the tests run it
steps = 8 if QUICK else 400


class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(16)(x)))


x = jnp.linspace(-3, 3, 64)[:, None]
module = Model()
start = module.init(jax.random.key(0), x)


def loss(params):
    return jnp.mean((module.apply(params, x) - jnp.sin(2 * x)) ** 2)


# %% [markdown]
# ## One loop for both
# Any transformation and schedule of optax will do: here the gradient is clipped, and the rate of Adam decays.

# %%
true = lambda params, key: jax.value_and_grad(loss)(params)
smoothed = jaxes.es_value_and_grad(loss, sigma=0.05, population_size=64)


def descend(value_and_grad, tx, steps=steps):
    def step(carry, key):
        params, state = carry
        value, slope = value_and_grad(params, key)
        change, state = tx.update(slope, state, params)
        return (optax.apply_updates(params, change), state), value

    keys = jax.random.split(jax.random.key(1), steps)
    return jax.jit(lambda carry: jax.lax.scan(step, carry, keys)[1])((start, tx.init(start)))


tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(0.03, steps)))
plt.semilogy(descend(true, tx), label="jax.value_and_grad")
plt.semilogy(descend(smoothed, tx), label="jaxes.es_value_and_grad")
plt.xlabel("step")
plt.ylabel("loss")
plt.legend()

# %% [markdown]
# ## Accumulating gradients
# Four populations of 16 and one step on the mean of their gradients take the memory of one of them.

# %%
small = jaxes.es_value_and_grad(loss, sigma=0.05, population_size=16)
every_four = optax.MultiSteps(tx, every_k_schedule=4)
plt.semilogy(descend(smoothed, tx), label="64 evaluations a step")
plt.semilogy(descend(small, every_four, 4 * steps)[::4], label="4 x 16 evaluations a step")
plt.xlabel("step")
plt.ylabel("loss")
plt.legend()

# %% [markdown]
# ## How near it is
# The smoothed gradient is that of the loss averaged over a Gaussian of width sigma. Its error has two parts: one of
# order sigma², and one of the sampling, of order 1 / sqrt(evaluations), which remains as sigma goes to zero.

# %%
flat = lambda tree: jaxes.flatten_params(tree)[0]
wanted = flat(jax.grad(loss)(start))
sigmas = jnp.logspace(-2, 0, 5 if QUICK else 9)


def error(sigma, size):
    estimate = jaxes.es_value_and_grad(loss, sigma=sigma, population_size=size)(start, jax.random.key(2))[1]
    return jnp.linalg.norm(flat(estimate) - wanted) / jnp.linalg.norm(wanted)


for size in (64, 256) if QUICK else (64, 1024, 16384):
    errors = jax.jit(lambda sigmas, size=size: jax.lax.map(lambda sigma: error(sigma, size), sigmas))(sigmas)
    plt.loglog(sigmas, errors, marker="o", label=f"{size} evaluations")
plt.xlabel("sigma")
plt.ylabel("relative error of the gradient")
plt.legend()
