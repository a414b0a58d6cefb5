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
# # Planning by cross-entropy
# PlaNet (Hafner et al. 2019) plans at every step: it draws 1000 sequences of actions, runs a model along each, fits the
# drawing to the best 100, does so ten times, and takes the first action. `jaxes.planning.cem_mpc` does that with
# `jaxes.cem`, for any model. `jaxes bench planning` measures it beside the paper's table.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxes
from jaxes import planning

QUICK = os.environ.get("JAXES_NOTEBOOK") == "quick"  # as the tests run it

# %% [markdown]
# ## The true simulator as the model
# An environment's own step is a model like any other. This cart-pole moves as that of dm_control, and every action is
# held for eight steps.

# %%
env = jaxes.envs.repeated(jaxes.envs.make("jaxes/cartpole_swingup"), 8)
step, reward = planning.simulator(env)
size = {"candidates": 50, "elites": 5, "iterations": 2} if QUICK else {}
plan = planning.cem_mpc(step, reward, action=env.action, **size)

state = jax.jit(env.reset)(jax.random.key(0))
action, belief = jax.jit(plan)(state, jax.random.key(1))
action, belief.mean[:, 0].round(1)

# %% [markdown]
# ## An episode
# `planning.episode` plans and acts until the time limit, as one compiled function.

# %%
steps = 10 if QUICK else env.max_steps
play = jax.jit(planning.episode(env, plan, steps=steps, record=True))
out = play(jax.random.key(2))
print(f"return {out.score:.0f}; PlaNet's Table 1 has 850")
moments = [jax.device_get(jax.tree.map(lambda x, t=t: x[t], out.moments)) for t in range(0, steps, -(-steps // 6))]
fig, axes = plt.subplots(2, 3, figsize=(9, 5))
for ax, picture in zip(axes.flat, env.frames(moments)):
    ax.imshow(picture)
    ax.set_axis_off()

# %% [markdown]
# ## Planners side by side, environments side by side
# The planner is a pure function, so `vmap` plans for many environments at once. Random shooting is the same with one
# iteration; the options are what later work added.

# %%
planners = {
    "cross-entropy": plan,
    "warm start, elites kept": planning.cem_mpc(
        step, reward, action=env.action, warm_start=True, kept_fraction=0.3, **size
    ),
    "random shooting": planning.random_shooting(step, reward, action=env.action, candidates=50 if QUICK else 1000),
}
if QUICK:
    planners = {"cross-entropy": plan}
for name, planner in planners.items():
    run = jax.jit(jax.vmap(planning.episode(env, planner, steps=steps)))
    curves = jnp.cumsum(run(jax.random.split(jax.random.key(3), 2)).rewards, axis=1)
    plt.plot(8 * jnp.arange(1, steps + 1), curves.mean(axis=0), label=name)
plt.xlabel("step")
plt.ylabel("sum of rewards")
plt.legend()
# %% [markdown]
# ## A model of your own
# Any function from a state and an action to the next state will do, such as a Flax model that closes over its
# parameters. Here the state is a point that drifts; `examples/learned_model.py` learns a pendulum from data with optax
# first.

# %%
import flax.linen as nn

model = nn.Dense(2)
params = model.init(jax.random.key(4), jnp.zeros(3))


@jax.jit
def first_action(params, state, key):
    drift = lambda state, action: state + 0.1 * model.apply(params, jnp.concatenate([state, action]))
    plan = planning.cem_mpc(drift, lambda state, action, after: -jnp.sum(after**2), 5, 50, 5, 5)
    return plan(state, key)[0]


first_action(params, jnp.array([0.3, -0.2]), jax.random.key(5))
