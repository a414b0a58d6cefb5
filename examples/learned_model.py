"""A pendulum learned from data, and swung up by planning in what was learned: Flax and optax, then jaxes.planning."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxes import envs, planning

LIMIT = np.full(1, 2.0, np.float32)  # N m


def moment(angle, turn, reward):
    seen = jnp.stack([jnp.cos(angle), jnp.sin(angle), turn / 8])  # the angle is 0 at the top
    return envs.EnvState((angle, turn), seen, reward, jnp.bool_(False))


def reset(key):
    angle, turn = jax.random.uniform(key, (2,), minval=-1, maxval=1) * jnp.array([jnp.pi, 1.0])
    return moment(angle, turn, jnp.float32(0))


def step(state, action):
    angle, turn = state.physics
    turn = jnp.clip(turn + 0.05 * (15 * jnp.sin(angle) + 3 * action[0]), -8, 8)
    return moment(angle + 0.05 * turn, turn, gain(state.observation, action))


def gain(seen, action):
    """The reward of gymnasium's Pendulum, from an observation."""
    angle = jnp.arctan2(seen[1], seen[0])
    return -(angle**2) - 0.1 * (8 * seen[2]) ** 2 - 0.001 * action[0] ** 2


seen = jax.ShapeDtypeStruct((3,), jnp.float32)
env = envs.repeated(envs.Env("examples/pendulum", reset, step, seen, envs.Box(-LIMIT, LIMIT), 200, 0.05), 2)


class Model(nn.Module):
    """(observation, action) -> the next observation."""

    @nn.compact
    def __call__(self, seen, action):
        x = jnp.concatenate([seen, action / 2])
        for _ in range(2):
            x = nn.swish(nn.Dense(64)(x))
        return seen + nn.Dense(3)(x)


def collect(key, episodes):
    """Transitions of random actions: observations [n, 3], actions [n, 1], next observations [n, 3]."""

    def walk(key):
        first, later = jax.random.split(key)
        actions = jax.random.uniform(later, (env.max_steps, 1), minval=-2, maxval=2)
        start = env.reset(first)
        after = jax.lax.scan(lambda state, action: (env.step(state, action),) * 2, start, actions)[1].observation
        return jnp.concatenate([start.observation[None], after[:-1]]), actions, after

    return jax.tree.map(jnp.concatenate, jax.jit(jax.vmap(walk))(jax.random.split(key, episodes)))


def fit(key, data, steps=1500):
    """The model's parameters, by Adam on the squared error of one step ahead."""
    params = Model().init(key, jnp.zeros(3), jnp.zeros(1))
    tx = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    def loss(params, seen, action, after):
        return jnp.mean((jax.vmap(Model().apply, (None, 0, 0))(params, seen, action) - after) ** 2)

    def improve(carry, key):
        params, memory = carry
        rows = jax.random.randint(key, (128,), 0, len(data[0]))
        error, gradient = jax.value_and_grad(loss)(params, *(x[rows] for x in data))
        change, memory = tx.update(gradient, memory, params)
        return (optax.apply_updates(params, change), memory), error

    return jax.jit(lambda keys: jax.lax.scan(improve, (params, tx.init(params)), keys))(jax.random.split(key, steps))


def play(params, key):
    """The return of an episode, planned in the model with these parameters; new ones need no compiling."""
    model = lambda seen, action: Model().apply(params, seen, action)
    # Two steps of the pendulum are one of the plan.
    plan = planning.cem_mpc(model, lambda seen, action, _: 2 * gain(seen, action), 15, 200, 20, 5, action=env.action)
    return planning.episode(env, plan, look=lambda state: state.observation)(key).score


if __name__ == "__main__":
    data = collect(jax.random.key(0), episodes=50)
    (params, _), errors = fit(jax.random.key(1), data)
    print(f"squared error of a step: {errors[0]:.2g} at first, {errors[-100:].mean():.2g} in the end")
    keys = jax.random.split(jax.random.key(2), 4)
    untrained = Model().init(jax.random.key(1), jnp.zeros(3), jnp.zeros(1))
    for name, model in (("untrained", untrained), ("learned", params)):
        scores = jax.jit(jax.vmap(play, (None, 0)))(model, keys)
        print(f"return with the {name} model: {scores.mean():.0f}")
