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
# # A thousand right steps: CyclicMDP
# One action leads on around a ring of three states, any other ends the episode with a reward of -1. A random policy
# earns less than nothing, and only one that is right a thousand times in a row earns 1,333. `jaxes bench cyclic_mdp`
# has ten seeds, and REINFORCE beside them, which from single episodes learns to repeat the first mistake that paid.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import jaxes
from jaxes import rl, shaping
from jaxes.envs.own.cyclic_mdp import best_return, random_return

QUICK = os.environ.get("JAXES_NOTEBOOK") == "quick"  # as the tests run it

env = jaxes.envs.make("jaxes/CyclicMDP")
rewards = (1, 1, 2)  # for leaving each state
print(
    f"optimum {best_return(rewards, env.max_steps):.0f}, random policy {random_return(rewards, 3, env.max_steps):.2f}"
)
fig, axes = plt.subplots(1, 3, figsize=(7, 2.4))
for ax, picture in zip(axes, env.frames([0, 1, 2])):
    ax.imshow(picture)
    ax.set_axis_off()

# %% [markdown]
# ## An evolution strategy
# Mirrored sampling is what `open_es` does anyway; normalized ranks and a decaying learning rate are arguments. The run
# is one compiled function of the state: `jaxes.generation` for `jax.lax.scan`.

# %%
policy = rl.mlp(env, hidden=(32, 32), head="categorical")
rate = optax.exponential_decay(0.1, 1, 0.99)
strategy = jaxes.open_es(100, 1.0, learning_rate=rate, shaping=shaping.normalized_rank())
problem = rl.rollout(env, policy, normalize=False, mode="while", max_steps=20 if QUICK else None)
generation = jaxes.generation(strategy, problem)
judge = rl.evaluation(env, policy, episodes=1)
length = 2 if QUICK else 60


def train(state):
    def step(carry, _):
        carry, info = generation(carry)
        return carry, (info, judge(strategy.recommend(carry[0]), None, jax.random.key(3)).returns[0])

    return jax.lax.scan(step, (state, problem.init(jax.random.key(2))), length=length)[1]


first = strategy.init(jax.random.key(1), policy.init(jax.random.key(0)))
infos, returns = jax.jit(train)(first)
alike = infos.best == infos.worst  # nobody is above the mean then
fig, (reward, elites) = plt.subplots(1, 2, figsize=(10, 3.2))
reward.plot(returns, label="the mean's policy")
reward.plot(infos.mean, label="mean of the population")
reward.set(xlabel="generation", ylabel="return")
reward.legend()
elites.plot(jnp.where(alike, strategy.population_size, infos.elites))
elites.set(xlabel="generation", ylabel="elite learners: members above the mean, or all alike")

# %% [markdown]
# ## A sweep over sigma
# Sigma is a number of the state. So one program runs them all: `jax.vmap` over states.

# %%
sigmas = jnp.array([0.03, 0.1, 0.3, 1.0, 3.0])
states = jax.vmap(lambda sigma: strategy.init(jax.random.key(1), policy.init(jax.random.key(0)), sigma=sigma))(sigmas)
_, several = jax.jit(jax.vmap(train))(states)
for sigma, curve in zip(sigmas, several):
    plt.plot(curve, label=f"sigma {sigma:g}")
plt.xlabel("generation")
plt.ylabel("return of the mean's policy")
plt.legend()

# %% [markdown]
# ## In gymnasium
# The same environment is there by its id: `gymnasium.make("jaxes.envs.as_gymnasium:jaxes/CyclicMDP-v0")`.
