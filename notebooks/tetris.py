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
# # Tetris by cross-entropy
# Szita and Lőrincz (2006) taught a linear value of boards to play Tetris by the cross-entropy method, once they added
# noise to its variance. Here is their experiment on a board of ten rows, in a minute; `jaxes bench tetris` does the one
# with twenty rows, five seeds, and the published curves beside it.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxes
from jaxes import rl
from jaxes.envs import tetris

QUICK = os.environ.get("JAXES_NOTEBOOK") == "quick"  # as the tests run it

# %% [markdown]
# ## All placements at once
# A board is one word for each column. `place` drops a piece in every orientation and column, and a feature set
# describes what each of these boards looks like: here 22 numbers, heights, steps between columns, the largest height,
# holes, 1.

# %%
table = tetris.table(10)
t = tetris.NAMES.index("T")
after = tetris.place(jnp.zeros(10, jnp.uint32), jnp.asarray(table.columns[t]), jnp.asarray(table.bottoms[t]))
features = tetris.bertsekas(after, jnp.asarray(table.heights[t]), 20)
features.shape, features[0].astype(int)

# %% [markdown]
# ## An environment, a policy, a problem
# The observation of `jaxes/tetris` describes every choice, and `rl.values` takes the one that it values most: with no
# hidden layer, the one with the largest `features @ weights`. Members play one game each. Games are played on lanes: a
# lane whose game has ended takes the next member, so that long games hold up nobody.

# %%
env = jaxes.envs.make("jaxes/tetris", height=10, max_steps=200 if QUICK else 20_000)
policy = rl.values(env)
problem = rl.rollout(env, policy, normalize=False, seeds="independent", mode="refill", lanes=25)
zeros = jax.tree.map(jnp.zeros_like, policy.init(jax.random.key(0)))
evaluate = jax.jit(lambda params, key: rl.evaluation(env, policy, episodes=30)(params, None, key))

# %% [markdown]
# ## Noise on the variance
# The Gaussian is fitted to the best tenth. Without noise it collapses soon, wherever it happens to be. A capped game
# says only that it would have been longer: `rl.uncapped_mean` estimates the mean of games without a cap.

# %%
noises = {"none": 0.0, "constant": 4.0, "decreasing": lambda t: jnp.maximum(5 - t / 10, 0)}
generations = 2 if QUICK else 30
if QUICK:
    noises = {"constant": 4.0}
last = {}
for name, noise in noises.items():
    strategy = jaxes.cem(100, sigma=10.0, elite_fraction=0.1, variance_noise=noise)
    generation = jax.jit(jaxes.generation(strategy, problem))
    carry = (strategy.init(jax.random.key(1), zeros), problem.init(jax.random.key(2)))
    curve = []
    for _ in range(generations):
        carry, info = generation(carry)
        mean, _ = rl.uncapped_mean(evaluate(strategy.recommend(carry[0]), jax.random.key(3)))
        curve.append(max(float(mean), 0.1))
    last[name] = strategy.recommend(carry[0])
    plt.semilogy(range(1, generations + 1), curve, label=name)
plt.xlabel("generation")
plt.ylabel("rows of a game of the mean")
plt.legend(title="noise")
# %% [markdown]
# ## A game
# `jaxes render` writes such pictures of a run of `jaxes train jaxes/tetris --network values --strategy cem` as a GIF.

# %%
reset, step = jax.jit(env.reset), jax.jit(env.step)
act = jax.jit(lambda observation: policy.act(last["constant"], (), observation)[0])
state, moments = reset(jax.random.key(4)), []
for _ in range(40):
    moments.append(jax.device_get(state.physics))
    state = step(state, act(state.observation))
    if state.done:
        break
pictures = env.frames(moments)
fig, axes = plt.subplots(1, 5, figsize=(9, 4))
for ax, picture in zip(axes, pictures[:: max(1, len(pictures) // 5)]):
    ax.imshow(picture)
    ax.set_axis_off()
