"""Bipedal walkers of other packages: gymnasium's Box2D, EnvPool's C++, and the same bodies in jax2d.

python benchmarks/_planar_peers.py SIDE '{"lanes": 64}' prints a line of JSON when it is ready; for each line of its
input, a number of seconds, it plays so long and prints how many steps that were. It needs that package and NumPy and
nothing of jaxes, so that it can run in an environment of its own.

Members have weights of their own, 24-40-40-4 with tanh, drawn from N(0, 0.1) as POET's first ones are.
"""

import importlib.metadata
import itertools
import json
import sys
import time

import numpy as np

SIZES = (24, 40, 40, 4)
DEVIATION = 0.1


def members(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights float32[count, in, out] and biases float32[count, 1, out] of each layer."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: (DEVIATION * rng.standard_normal(shape)).astype(np.float32)
    return [(draw(count, a, b), draw(count, 1, b)) for a, b in itertools.pairwise(SIZES)]


class Gymnasium:
    """One environment, whose member changes with every episode."""

    def __init__(self, lanes: int = 64, seed: int = 0):
        import gymnasium

        self.env = gymnasium.make("BipedalWalker-v3", disable_env_checker=True).env
        self.members, self.lanes = members(lanes), lanes
        self.about = {"version": importlib.metadata.version("gymnasium")}
        self.observation, self.episode = self.env.reset(seed=seed)[0], seed * lanes // 2

    def play(self, seconds: float) -> dict:
        steps = episodes = 0
        began = time.perf_counter()
        while (taken := time.perf_counter() - began) < seconds:
            x = self.observation
            for w, b in self.members:
                x = np.tanh(x @ w[self.episode % self.lanes] + b[self.episode % self.lanes, 0])
            self.observation, _, over, cut, _ = self.env.step(x)
            steps += 1
            if over or cut:
                episodes += 1
                self.episode += 1
                self.observation = self.env.reset()[0]
        return {"steps": steps, "seconds": taken, "episodes": episodes}


class EnvPool:
    """Lanes with a member each, by one NumPy product a layer; or all with one member's weights, by one BLAS product.

    With `batch` fewer lanes than there are, those that are ready are stepped while others are played.
    """

    def __init__(self, lanes: int, batch: int = 0, threads: int = 2, dense: bool = True):
        import envpool

        self.batch, self.lanes, self.dense = batch or lanes, lanes, dense
        self.envs = envpool.make(
            "BipedalWalker-v3", env_type="gymnasium", num_envs=lanes, batch_size=self.batch, num_threads=threads
        )
        self.members = members(lanes if dense else 1)
        self.about = {"version": importlib.metadata.version("envpool")}
        self.ended = np.zeros(lanes, bool)
        if self.batch == lanes:
            self.observations = self.envs.reset()[0]
        else:
            self.envs.async_reset()

    def act(self, x: np.ndarray, who: np.ndarray | slice) -> np.ndarray:
        if self.dense:
            x = x[:, None]
        for w, b in self.members:
            x = np.tanh(x @ w[who] + b[who] if self.dense else x @ w[0] + b[0])
        return x[:, 0] if self.dense else x

    def play(self, seconds: float) -> dict:
        steps = episodes = 0
        everyone, together = slice(None), self.batch == self.lanes
        began = time.perf_counter()
        while (taken := time.perf_counter() - began) < seconds:
            if together:
                self.observations, _, over, cut, _ = self.envs.step(self.act(self.observations, everyone))
                who = everyone
            else:
                observations, _, over, cut, info = self.envs.recv()
                who = info["env_id"]
                self.envs.send(self.act(observations, who), who)
            steps += self.batch - int(self.ended[who].sum())  # those that ended before were only reset
            self.ended[who] = over | cut
            episodes += int((over | cut).sum())
        return {"steps": steps, "seconds": taken, "episodes": episodes}


class Jax2d:
    """The walker's five bodies, its four joints with motors, and ground of four static polygons: physics alone."""

    def __init__(self, lanes: int = 256, iterations: int = 10, batch: int = 16, chunk: int = 4):
        import jax
        import jax.numpy as jnp
        from jax2d import engine, scene
        from jax2d.sim_state import SimParams, StaticSimParams

        static = StaticSimParams(
            num_polygons=9,
            num_circles=2,  # it wants two; none is in the world
            num_joints=4,
            num_thrusters=1,
            max_polygon_vertices=5,
            num_solver_iterations=iterations,
            solver_batch_size=batch,
            num_static_fixated_polys=4,
        )
        params = SimParams(dt=1 / 50, clip_position=100.0)
        world = engine.create_empty_sim(static, add_floor=False, add_walls_and_ceiling=False)
        world = world.replace(gravity=jnp.array([0.0, -10.0]))
        rectangle = lambda world, at, size, **more: scene.add_rectangle_to_scene(
            world, static, position=jnp.array(at), dimensions=jnp.array(size), **more
        )
        for i in range(4):
            world, _ = rectangle(world, [10.0 * i, -1.0], [10.0, 2.0], fixated=True, friction=2.5)
        hull = jnp.array([(-30, 9), (6, 9), (34, 1), (34, -8), (-30, -8)]) / 30
        down, width, height, x, y = -8 / 30, 8 / 30, 34 / 30, 15.0, 68 / 30
        world, (_, body) = scene.add_polygon_to_scene(
            world, static, jnp.array([x, y]), hull, 5, density=5.0, friction=0.1
        )
        offset = jnp.array([x, y]) - world.polygon.position[4]
        for i in (-1, 1):
            angle = dict(rotation=0.05 * i, density=1.0, friction=0.2)
            world, (_, leg) = rectangle(world, [x, y - height / 2 - down], [width, height], **angle)
            world, (_, lower) = rectangle(world, [x, y - 1.5 * height - down], [0.8 * width, height], **angle)
            motor = dict(motor_on=True, motor_power=0.1, has_joint_limits=True)
            world, _ = scene.add_revolute_joint_to_scene(
                world, static, body, leg, offset + jnp.array([0, down]), jnp.array([0, height / 2]),
                motor_speed=4 / 6, min_rotation=-0.8, max_rotation=1.1, **motor,
            )  # fmt: skip
            world, _ = scene.add_revolute_joint_to_scene(
                world, static, leg, lower, jnp.array([0, -height / 2]), jnp.array([0, height / 2]),
                min_rotation=-1.6, max_rotation=-0.1, **motor,
            )  # fmt: skip
        move = jax.vmap(engine.PhysicsEngine(static).step, in_axes=(0, None, 0))

        def steps(worlds, key):
            actions = jax.random.uniform(key, (chunk, lanes, 5), minval=-1)
            return jax.lax.scan(lambda w, a: (move(w, params, a)[0], None), worlds, actions)[0]

        self.worlds = jax.tree.map(lambda x: jnp.broadcast_to(x, (lanes, *x.shape)), world)
        self.keys = lambda turn: jax.random.key(turn)
        self.turn, self.count, self.wait = 0, chunk * lanes, jax.block_until_ready
        began = time.perf_counter()
        lowered = jax.jit(steps).lower(self.worlds, self.keys(0))
        traced = time.perf_counter() - began
        self.steps = lowered.compile()
        self.about = {
            "version": importlib.metadata.version("jax2d"),
            "jax": jax.__version__,
            "trace_s": traced,
            "compile_s": time.perf_counter() - began - traced,
        }

    def play(self, seconds: float) -> dict:
        steps, began = 0, time.perf_counter()
        while (taken := time.perf_counter() - began) < seconds:
            self.turn += 1
            self.worlds = self.wait(self.steps(self.worlds, self.keys(self.turn)))
            steps += self.count
        finite = bool(np.isfinite(np.asarray(self.worlds.polygon.position)).all())
        return {"steps": steps, "seconds": taken, "finite": finite}


SIDES = {"gymnasium": Gymnasium, "envpool": EnvPool, "jax2d": Jax2d}


def main(side: str, settings: str) -> None:
    playing = SIDES[side](**json.loads(settings))
    print(json.dumps(playing.about), flush=True)
    for line in sys.stdin:
        print(json.dumps(playing.play(float(line))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
