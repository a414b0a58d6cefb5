"""Playing in one process: lanes step several members at once, and a lane whose episode has ended takes the next slot.

The result of an episode depends on its member, its seed and its key alone, not on its lane, its neighbors or the
process. (The policy is always computed for a batch of the same size.)
"""

import time
from collections import deque
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.host import Lanes, for_policies, truncated
from jaxes.rl import normalizer as norm
from jaxes.rl.host import programs
from jaxes.rl.host.programs import Program
from jaxes.rl.reward import Pay

GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: between the seeds of a slot's episodes


class Job(NamedTuple):
    """The slots to be played in one generation: a member has as many of them as it plays episodes."""

    state: list[np.ndarray]  # of the strategy, packed
    normalizer: list[np.ndarray]  # packed; empty without one
    members: np.ndarray  # int32[slots]: ids
    seeds: np.ndarray  # uint32[slots]: for the reset of the environment
    keys: np.ndarray  # uint32[slots, words]: for the actions' noise
    watched: np.ndarray  # bool[slots]: the normalizer learns from it
    limit: int  # steps of an episode at most
    least_steps: int  # a slot with fewer plays another episode
    shift: float  # subtracted from every reward
    pay: Pay  # what else becomes of rewards
    center: list[np.ndarray]  # float64, a leaf of the observation each: their mean so far; none without a normalizer
    spread: list[np.ndarray] | None  # likewise: their standard deviations; None if nothing is known yet
    reach: float  # of the normalizer
    probe: int  # seed of a reset that stands in for both then


class Results(NamedTuple):
    """The results of k slots in any order; leaves [k, ...]."""

    slots: np.ndarray  # int64: their numbers
    returns: np.ndarray  # float64: sum over the slot's episodes
    lengths: np.ndarray  # int64
    episodes: np.ndarray  # int64
    truncated: np.ndarray  # int64: episodes ended by a time limit
    seen: np.ndarray  # int64: observations that were summed
    invalid: np.ndarray  # int64: observations that were left out
    far: np.ndarray  # int64: those of them within `normalizer.FARTHEST`
    means: list[np.ndarray]  # float64: their mean, a leaf of the observation each; none without a normalizer
    squares: list[np.ndarray]  # float64: the sum of their squared distances from it


class Player:
    """Plays slots of a job, some at a time."""

    def __init__(self, lanes: Lanes, program: Program):
        self._lanes, self._count, self._at_once = lanes, program.lanes, program.at_once
        self._enter, self._act = programs.load(program.enter, (1, 2)), programs.load(program.act)
        self._common_of = programs.load(program.common)
        self._shapes = program.params, program.memory
        self._remembers = bool(program.memory)
        self._seen = [np.zeros(x.shape, for_policies(x.dtype)) for x in jax.tree.leaves(lanes.observations)]
        self._raw = jax.tree.leaves(lanes.observations)
        kinds = [(x.shape, x.dtype) for x in self._seen]
        if kinds != program.observation:
            raise ValueError(f"lanes observe arrays of {kinds}, and env.observation promises {program.observation}")
        self.acting = 0.0
        """Seconds spent in the policy since the job began."""
        self.playing = 0.0
        """Seconds spent since the job began, in all."""

    def begin(self, job: Job) -> None:
        """Take a job and forget the last one."""
        n = self._count
        self._job = job
        self._state, self._normalizer = jax.device_put((job.state, job.normalizer))
        self._params, self._memory = ([jnp.zeros(*leaf) for leaf in part] for part in self._shapes)
        self._common = self._common_of(self._state)
        self._waiting: deque[int] = deque()
        self._slot = np.full(n, -1)
        self._again, self._t = np.zeros(n, np.int32), np.zeros(n, np.int32)
        self._keys = np.zeros((n, *job.keys.shape[1:]), np.uint32)
        self._lengths, self._episodes, self._truncated, self._watched = (np.zeros(n, np.int64) for _ in range(4))
        self._returns = np.zeros(n)
        self._counted, self._invalid, self._far = (np.zeros(n, np.int64) for _ in range(3))
        self._center, self._reach = self._limits()
        self._summed = self._raw if job.normalizer else []
        self._totals, self._squares = ([np.zeros(x.shape) for x in self._summed] for _ in range(2))
        self.acting = self.playing = 0.0

    def play(self, slots: list[int], more: bool, seconds: float = 1.0) -> tuple[Results, int]:
        """Take these slots too, and play until there is room for others, or all have ended, or the time is over.

        Args:
            slots: to be played after the ones that wait already.
            more: whether there are other slots; if so it returns as soon as a lane has nothing to do.
            seconds: when to return.

        Returns:
            The results of the slots that have ended, and how many others are being played or wait.
        """
        began = time.perf_counter()
        self._waiting.extend(slots)
        ended: list[Results] = []
        while True:
            self._fill()
            busy = np.nonzero(self._slot >= 0)[0]
            if not len(busy) or (more and len(busy) < self._count) or time.perf_counter() - began > seconds:
                break
            self._step(busy, ended)
        self.playing += time.perf_counter() - began
        return _joined(ended, self._summed), len(busy) + len(self._waiting)

    def _step(self, busy: np.ndarray, ended: list[Results]) -> None:
        with np.errstate(over="ignore"):  # a float64 that no float32 reaches is infinite
            for seen, raw in zip(self._seen, self._raw, strict=True):
                seen[:] = raw
        acting = time.perf_counter()
        actions, self._memory = self._act(
            self._params,
            self._common,
            self._memory,
            self._seen,
            self._normalizer,
            self._keys,
            self._again,
            self._t,
        )
        actions = np.asarray(actions)
        self.acting += time.perf_counter() - acting
        self._watch(busy)
        rewards, done = self._lanes.step(busy, actions[busy])
        rewards, done = np.asarray(rewards, float), np.asarray(done, bool)
        if rewards.shape != busy.shape or done.shape != busy.shape:
            shapes = f"{rewards.shape} and {done.shape}"
            raise ValueError(f"lanes must give a reward and an end for each of {len(busy)} steps, got shapes {shapes}")
        self._returns[busy] += self._job.pay(rewards, self._t[busy], self._job.shift)
        self._t[busy] += 1
        self._lengths[busy] += 1
        cut = np.where(done, truncated(self._lanes, busy), self._t[busy] >= self._job.limit)
        over = busy[done | cut]
        if len(over):
            self._episodes[over] += 1
            self._truncated[busy[cut]] += 1
            again = self._lengths[over] < self._job.least_steps
            for lane in over[again].tolist():
                self._again[lane] += 1
                self._restart(lane)
            if not again.all():
                ended.append(self._taken_down(over[~again]))

    def _watch(self, busy: np.ndarray) -> None:
        watched = busy[self._watched[busy] > 0]
        if not len(watched) or not self._summed:
            return
        rows = [seen[watched].astype(float) for seen in self._seen]
        apart = [np.abs(x - center).reshape(len(x), -1) for x, center in zip(rows, self._center, strict=True)]
        near = np.ones(len(watched), bool)
        for distance, reach in zip(apart, self._reach, strict=True):
            near &= (distance <= reach).all(axis=1)
        if not near.all():
            self._invalid[watched[~near]] += 1
            possible = np.all([(distance <= norm.FARTHEST).all(axis=1) for distance in apart], axis=0)
            self._far[watched[possible & ~near]] += 1
            watched, rows = watched[near], [x[near] for x in rows]
        self._counted[watched] += 1
        for total, square, x, center in zip(self._totals, self._squares, rows, self._center, strict=True):
            distance = x - center
            total[watched] += distance
            square[watched] += distance * distance

    def _limits(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The center of observations, and how far from it they count: `normalizer.reach` for these lanes."""
        job = self._job
        center, spread = job.center, job.spread
        if spread is None:
            self._lanes.reset(0, job.probe)
            first = [np.asarray(raw[0], float) for raw in self._raw]
            center = [norm.first_center(x, job.reach) for x in first]
            return center, [norm.first_reach(x, job.reach).ravel() for x in center]
        return center, [norm.within(job.reach, x).ravel() for x in spread]

    def _fill(self) -> None:
        free = np.nonzero(self._slot < 0)[0][: len(self._waiting)]
        if not len(free):
            return
        slots = np.array([self._waiting.popleft() for _ in free])
        self._slot[free], self._again[free] = slots, 0
        self._keys[free], self._watched[free] = self._job.keys[slots], self._job.watched[slots]
        for array in (
            self._returns,
            self._lengths,
            self._episodes,
            self._truncated,
            self._counted,
            self._invalid,
            self._far,
        ):
            array[free] = 0
        for array in (*self._totals, *self._squares):
            array[free] = 0
        for lane in free.tolist():
            self._restart(lane, new=True)
        self._let_in(free)

    def _let_in(self, lanes: np.ndarray) -> None:
        """Put the members of their slots on these lanes, with a fresh memory."""
        some = self._at_once
        for start in range(0, len(lanes), some):
            part = lanes[start : start + some]
            at, ids = np.zeros((2, some), np.int32)
            at[: len(part)], ids[: len(part)] = part, self._job.members[self._slot[part]]
            count = np.int32(len(part))
            self._params, self._memory = self._enter(self._state, self._params, self._memory, at, ids, count)

    def _restart(self, lane: int, new: bool = False) -> None:
        slot, again = self._slot[lane], int(self._again[lane])
        seed = int(self._job.seeds[slot])
        self._lanes.reset(lane, (seed + again * GOLDEN) % 2**32)
        self._t[lane] = 0
        if not new and self._remembers:  # the same member goes on, with a fresh memory
            self._let_in(np.array([lane]))

    def _taken_down(self, lanes: np.ndarray) -> Results:
        means, squares = [], []
        for total, square, center in zip(self._totals, self._squares, self._center, strict=True):
            count = np.maximum(self._counted[lanes], 1).reshape(-1, *(1,) * (total.ndim - 1))
            apart = total[lanes] / count
            means.append(center + apart)
            squares.append(np.maximum(square[lanes] - apart * total[lanes], 0))
        results = Results(
            slots=self._slot[lanes],
            returns=self._returns[lanes],
            lengths=self._lengths[lanes],
            episodes=self._episodes[lanes],
            truncated=self._truncated[lanes],
            seen=self._counted[lanes],
            invalid=self._invalid[lanes],
            far=self._far[lanes],
            means=means,
            squares=squares,
        )
        self._slot[lanes] = -1
        return results


def _joined(parts: list[Results], summed: list[np.ndarray]) -> Results:
    if not parts:
        none, rows = np.zeros(0, np.int64), [np.zeros((0, *x.shape[1:])) for x in summed]
        return Results(none, np.zeros(0), *(none,) * 6, rows, rows)
    return Results(*jax.tree.map(lambda *x: np.concatenate(x), *parts))
