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
# # Learning from examples without back-propagation
# In a generation all members are judged on the same batch; only forward passes are made. With members of rank 1 a whole
# population goes through a model at about the cost of one. `jaxes bench supervised` compares strategies and models.

# %%
import os

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import jaxes
from jaxes import lowrank, noise, shaping, supervised

QUICK = os.environ.get("JAXES_NOTEBOOK") == "quick"  # as the tests run it
members, batch, generations = (32, 32, 4) if QUICK else (512, 256, 300)

data = supervised.digits()
fig, axes = plt.subplots(1, 8, figsize=(8, 1.3))
for ax, image, label in zip(axes, data.inputs, data.targets):
    ax.imshow(image[..., 0], cmap="gray_r")
    ax.set_title(label)
    ax.set_axis_off()

# %% [markdown]
# ## Any Flax model
# The planner sees which parameters meet matrix products. Examples that are held out are judged on the way.


# %%
class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(nn.relu(nn.Dense(64)(x.reshape(len(x), -1))))


def learn(module, sigma, rate, low_rank=True):
    apply = lambda params, images: module.apply(params, data.standardize(images))
    params = module.init(jax.random.key(0), data.standardize(data.inputs[:1]))
    kind = noise.low_rank(plan=lowrank.plan(apply, params, data.inputs[:2])) if low_rank else noise.gaussian()
    rates = optax.cosine_decay_schedule(rate, generations)
    strategy = jaxes.open_es(members, sigma, learning_rate=rates, noise=kind, shaping=shaping.z_score())
    loss = optax.softmax_cross_entropy_with_integer_labels
    problem = supervised.problem(apply, data.inputs, data.targets, loss=loss, batch_size=batch)
    judge = supervised.held_out(apply, data.test_inputs, data.test_targets)
    options = {"generations": generations, "evaluate": judge, "evaluate_every": max(1, generations // 20)}
    rows = []
    for report in jaxes.fit(strategy, problem, params, key=jax.random.key(1), title=type(module).__name__, **options):
        if report.evaluation is not None:
            rows.append((report.generation, report.evaluation))
    print(f"{report.evaluation:.1%} of the held-out digits after {report.seconds:.0f} s")
    plt.plot(*zip(*rows))
    return report.params


params = learn(MLP(), sigma=0.05, rate=0.02)
plt.xlabel("generation")
plt.ylabel("held-out accuracy")

# %% [markdown]
# ## Parameters as a vector
# Members are trees of arrays throughout. Where a vector is wanted, there is one, and the way back.

# %%
vector, unflatten = jaxes.flatten_params(params)
print(vector.shape, jax.tree.map(jnp.shape, unflatten(0.5 * vector)))

# %% [markdown]
# ## Where gradients end
# These weights and hidden units count by their signs alone, so the gradient is zero everywhere. Fitness is not.


# %%
class BinaryWeights(nn.Module):
    @nn.compact
    def __call__(self, x):
        sign = lambda w: jnp.where(w < 0, -1.0, 1.0)
        x = x.reshape(len(x), -1)
        first = self.param("first", nn.initializers.normal(1.0), (x.shape[-1], 64))
        last = self.param("last", nn.initializers.normal(1.0), (64, 10))
        return sign(x @ sign(first)) @ sign(last) * 0.125


module = BinaryWeights()
images = data.standardize(data.inputs[:64])
start = module.init(jax.random.key(0), images)
slope = jax.grad(lambda p: supervised.correct(module.apply(p, images), data.targets[:64]).mean())(start)
print("largest slope:", max(float(jnp.abs(x).max()) for x in jax.tree.leaves(slope)))
learn(module, sigma=0.3, rate=0.05, low_rank=False)
plt.xlabel("generation")
plt.ylabel("held-out accuracy")
