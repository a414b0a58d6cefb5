"""The engine of `jaxes.rl.rollout` and `jaxes.rl.evaluation` for environments that run on CPUs."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.protocol import Env
from jaxes.rl import normalizer as norm
from jaxes.rl.accounting import settle
from jaxes.rl.episodes import Episodes
from jaxes.rl.host import programs
from jaxes.rl.host.fleet import Fleet
from jaxes.rl.host.player import Job, Results
from jaxes.rl.host.pool import Pool, pickled
from jaxes.rl.policies.policy import Policy
from jaxes.rl.reward import Pay
from jaxes.rl.settings import Settings
from jaxes.support import keys as keys_of
from jaxes.support.keys import Stream

LANES = 64  # of a process: with fewer, calling the policy costs more than stepping; with more, the caches overflow

_pools: dict[Any, Pool] = {}


def pool(env: Env, workers: int | None = None, lanes: int | None = None, ray: str | None = None) -> Pool:
    """The workers of an environment, started when they are first needed and kept until the process ends."""
    lanes = LANES if lanes is None else lanes
    made = env.lanes
    name = (made.func, repr(made.args), repr(made.keywords)) if isinstance(made, functools.partial) else made
    key = name, workers, lanes, ray
    if key not in _pools:
        _pools[key] = Pool(env, workers, lanes, None if ray is None else Fleet(ray))
    return _pools[key]


class Engine:
    """Plays members of any strategy with one policy, in worker processes."""

    def __init__(self, env: Env, policy: Policy, training: bool, **where: Any):
        """`where` has workers, lanes and ray, see `pool`; ValueError if other processes cannot make the lanes."""
        if where.get("workers") != 0:
            pickled(env)
        self._env, self._policy, self._training, self._where = env, policy, training, where
        self._loaded: dict[Any, tuple[Pool, int]] = {}
        self._tell: Callable[[float], None] = lambda share: None

    def pool(self) -> Pool:
        """The workers."""
        return pool(self._env, **self._where)

    def listen(self, tell: Callable[[float], None]) -> None:
        """From now on call `tell(share)` every second or so with the share of the slots that have been played."""
        self._tell = tell

    def play(
        self,
        ask: Callable,
        state: Any,
        members: np.ndarray,
        keys: jax.Array,
        normalizer: norm.Normalizer | None,
        limit: int,
        *,
        least_steps: int = 0,
        shift: float = 0.0,
        pay: Pay = Pay(),
        watch: float = 0.0,
        probe: jax.Array | None = None,
    ) -> Results:
        """Results of all slots, in order.

        Args:
            ask: `ask(state, ids) -> members`.
            state: of the strategy.
            members: int32[slots]: whose slots they are.
            keys: key[slots].
            normalizer: used as it is for all steps; None to give the policy raw observations.
            limit: the time limit of an episode, in steps.
            least_steps: a slot whose episodes have fewer steps in all plays another one.
            shift: subtracted from every reward.
            pay: what else becomes of rewards.
            watch: the share of the slots whose observations are summed.
            probe: key[]: of a reset that tells the size of observations while the normalizer knows nothing.
        """
        shapes = tuple((x.shape, x.dtype) for x in jax.tree.leaves((state, normalizer)))
        known = (ask, jax.tree.structure((state, normalizer)), shapes, keys.dtype)
        if known not in self._loaded:
            workers = self.pool()
            workers.start()
            program = programs.make(
                self._env, self._policy, ask, state, normalizer, keys[0], workers.lanes, self._training
            )
            self._loaded[known] = workers, workers.load(program)
        workers, number = self._loaded[known]
        seeds, words, watched = (np.asarray(x) for x in _of_slots(keys, watch))
        job = Job(
            programs.pack(state),
            programs.pack(normalizer),
            members,
            seeds,
            words,
            watched,
            limit,
            least_steps,
            shift,
            pay,
            *_known(normalizer),
            0 if probe is None else int(jax.random.bits(probe, (), jnp.uint32)),
        )
        return workers.play(number, job, self._tell)


def evaluating(engine: Engine, episode_keys: Callable, given: Settings) -> Callable:
    """`Problem.evaluate` of a rollout.

    Args:
        engine: what plays.
        episode_keys: `episode_keys(key, ids) -> key[ids, episodes]`.
        given: the settings of the rollout.
    """
    all_keys = jax.jit(episode_keys)

    def evaluate(state, key, ask, ids):
        out = engine.play(
            ask.func,
            ask.args[0],
            np.repeat(np.asarray(ids, np.int32), given.episodes),
            all_keys(key, jnp.asarray(ids, jnp.int32)).reshape(-1),
            state.normalizer,
            int(state.cap.limit),
            least_steps=given.least_steps,
            shift=float(state.shift),
            pay=given.pay,
            watch=given.watch,
            probe=keys_of.stream(key, Stream.PROBE),
        )
        seen = () if state.normalizer is None else moments(out, state.normalizer)
        return settle(_episodes(out, (-1, given.episodes), seen))

    return evaluate


@jax.jit
def _of_slots(keys: jax.Array, watch: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """uint32[slots] seeds, the data of the keys, and bool[slots]: whether the observations of a slot are summed."""
    seeds = jax.vmap(lambda key: jax.random.bits(key, (), jnp.uint32))(keys)
    chance = jax.vmap(lambda key: jax.random.uniform(keys_of.stream(key, Stream.WATCH)))(keys)
    return seeds, jax.random.key_data(keys), chance < watch


def _known(normalizer: norm.Normalizer | None) -> tuple[list[np.ndarray], list[np.ndarray] | None, float]:
    """The center and spread of observations, float64 leaves, and the reach; no spread if nothing is known yet."""
    if normalizer is None:
        return [], [], 0.0
    double = lambda tree: [np.asarray(x, float) for x in jax.tree.leaves(tree)]
    spread = double(norm.deviation(normalizer)) if normalizer.count > 0 else None
    return double(normalizer.mean), spread, float(normalizer.reach)


def moments(results: Results, normalizer: norm.Normalizer) -> norm.Moments:
    """The sums of a generation's observations around their own mean, added up in the order of the slots."""
    tree = jax.tree.structure(normalizer.mean)
    count = int(results.seen.sum())
    means, squares = [], []
    for mean, square in zip(results.means, results.squares, strict=True):
        weights = results.seen.reshape(-1, *(1,) * (mean.ndim - 1))
        means.append((weights * mean).sum(axis=0) / max(count, 1))
        squares.append((square + weights * (mean - means[-1]) ** 2).sum(axis=0))
    single = lambda leaves: tree.unflatten([jnp.asarray(x, jnp.float32) for x in leaves])
    center = single(means)
    return norm.Moments(
        jnp.array([count, results.invalid.sum(), results.far.sum()], jnp.uint32),
        jax.tree.map(jnp.zeros_like, center),
        single(squares),
        center,
        jnp.float32(1),
    )


def evaluation(env: Env, policy: Policy, episodes: int, **where: Any) -> Callable[..., Episodes]:
    """`jaxes.rl.evaluation` for these environments: a plain function, not one to `jit`."""
    engine = Engine(env, policy, training=False, **where)

    def run(params, normalizer, key):
        keys = jax.random.split(key, episodes)
        out = engine.play(_everyone, params, np.zeros(episodes, np.int32), keys, normalizer, env.max_steps)
        played = _episodes(out, (-1,), ())
        return played._replace(
            returns=jnp.asarray(played.returns, jnp.float32),
            lengths=jnp.asarray(played.lengths, jnp.int32),
            episodes=jnp.asarray(played.episodes, jnp.int32),
            truncated=jnp.asarray(played.truncated, jnp.int32),
        )

    return run


def _episodes(results: Results, shape: tuple[int, ...], seen: Any) -> Episodes:
    """The results as NumPy arrays of a shape, with the moments that were `seen`."""
    shaped: Any = lambda x: x.reshape(shape)
    return Episodes(
        returns=shaped(results.returns),
        lengths=shaped(results.lengths),
        episodes=shaped(results.episodes),
        truncated=shaped(results.truncated),
        lane_steps=jnp.uint32(results.lengths.sum()),
        moments=seen,
    )


def _everyone(params: Any, ids: jax.Array) -> Any:
    """The same parameters for every member."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (ids.size, *x.shape)), params)
