"""Model-predictive control by the cross-entropy method.

Hafner et al.: "Learning Latent Dynamics for Planning from Pixels" (PlaNet), ICML 2019, Algorithm 2 and its defaults.
Options: Pinneri et al.: "Sample-efficient Cross-Entropy Method for Real-time Planning" (iCEM), CoRL 2020; Williams et
al.: "Information Theoretic MPC for Model-Based Reinforcement Learning" (MPPI), ICRA 2017.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes import noise, shaping
from jaxes.envs.protocol import Box
from jaxes.strategies import cem
from jaxes.strategies.cem import State
from jaxes.support import checks

VARIANCE_NOISE = 1e-6  # added under the root, as in PlaNet's code


class Belief(NamedTuple):
    """The distribution of the best actions: a Gaussian for each, in units of half its range, around the middle."""

    mean: jax.Array  # float32[horizon, *action]
    sigma: jax.Array  # float32[horizon, *action]
    kept: Any  # float32[k, horizon, *action]: elites that are used again; None if there are none
    value: jax.Array  # float32[]: the best sum of rewards among the last candidates, NaN if none was valid


@dataclasses.dataclass(frozen=True, eq=False)
class Planner:
    """A function that plans: `planner(state, key) -> (action, belief)`.

    For a warm start give the last belief too: `planner(state, key, belief)`.
    """

    plan: Callable[..., tuple[jax.Array, Belief]]
    start: Belief  # the belief before the first plan
    warm: bool  # whether it takes the last belief

    def __call__(self, state: Any, key: jax.Array, belief: Belief | None = None) -> tuple[jax.Array, Belief]:
        if belief is not None and not self.warm:
            raise ValueError("belief is for planners with warm_start=True; this one starts anew at every step")
        return self.plan(state, key, belief)


def cem_mpc(
    model_step: Callable[[Any, jax.Array], Any],
    reward: Callable[[Any, jax.Array, Any], jax.Array],
    horizon: int = 12,
    candidates: int = 1000,
    elites: int = 100,
    iterations: int = 10,
    *,
    action: Box | None = None,
    minimum_std: float = 0.0,
    momentum: float = 0.0,
    warm_start: bool = False,
    kept_fraction: float = 0.0,
    noise_exponent: float | None = None,
    temperature: float | None = None,
) -> Planner:
    """Plan by the cross-entropy method: sample sequences of actions, run the model, fit to the best ones, and repeat.

    It searches with `jaxes.cem`. Candidates are clipped to the bounds, and the Gaussian is fitted to the clipped ones.
    A candidate whose sum of rewards is NaN ranks last. The action is the first one of the last mean.

    Args:
        model_step: `(state, action) -> state` for one state, which may be any tree: an environment's step, a Flax
            model, ... If the function that you jit closes over the model's parameters inside, new parameters need no
            compiling.
        reward: `(state, action, next state) -> float[]`.
        horizon: how many steps are planned ahead.
        candidates: how many sequences are sampled in an iteration, 2 or more.
        elites: how many of the best candidates the Gaussian is fitted to.
        iterations: how often to sample and fit.
        action: the bounds of an action, such as `env.action`; one number in [-1, 1] by default. At first every action
            is drawn from a Gaussian around the middle whose standard deviation is half of the range.
        minimum_std: standard deviations never fall below this; in units of half the range.
        momentum: how much of the old mean and standard deviation stays in a fit, in [0, 1) (iCEM: 0.1).
        warm_start: whether to begin with the last plan, shifted by one step, as the mean: call
            `plan(state, key, belief)`, at first with `planner.start`.
        kept_fraction: the part of the elites that are candidates again in the next iteration and, with a warm start, in
            the next step, shifted (iCEM: 0.3).
        noise_exponent: draw actions that are correlated in time, see `jaxes.noise.colored`; None for independent ones.
        temperature: weight all candidates by `exp(sum of rewards / temperature)`, instead of the elites equally (MPPI).

    Returns:
        A `Planner`, which is a pure function `plan(state, key) -> (action, belief)` with an action float32[*action]:
        `jit` it, or `vmap` it over the states and keys of many environments.

    Raises:
        ValueError: for numbers that make no sense, or bounds that are not finite; when called, if the model changes the
            shapes or dtypes of the state, or the reward is no scalar.

    >>> import jax, jax.numpy as jnp, jaxes
    >>> plan = jaxes.planning.cem_mpc(lambda x, a: x + a[0], lambda x, a, after: -jnp.abs(after - 0.3), horizon=3)
    >>> action, belief = jax.jit(plan)(jnp.float32(0.0), jax.random.key(0))
    >>> f"{action[0]:.2f}", belief.mean.shape
    ('0.30', (3, 1))
    """
    for name, value in (("horizon", horizon), ("elites", elites), ("iterations", iterations)):
        checks.count(name, value)
    checks.integer("candidates", candidates, 2)
    if elites > candidates:
        raise ValueError(f"elites must be at most the {candidates} candidates, got {elites}")
    low, high = _limits(action)
    middle, half = (high + low) / 2, (high - low) / 2
    into = lambda unit: jnp.asarray(middle) + jnp.asarray(half) * unit
    strategy = cem(
        candidates,
        1.0,
        elite_fraction=elites / candidates,
        variance_noise=VARIANCE_NOISE,
        minimum_sigma=minimum_std,
        momentum=momentum,
        low=-1.0,
        high=1.0,
        kept_fraction=kept_fraction,
        weights=None if temperature is None else shaping.boltzmann(temperature),
        noise=None if noise_exponent is None else noise.colored(noise_exponent),
    )
    blank = strategy.init(jax.random.key(0), jnp.zeros((horizon, *low.shape), jnp.float32))

    def total(state, sequence):
        """The sum of rewards along one sequence of actions."""

        def step(carry, unit):
            state, gain = carry
            after = model_step(state, into(unit))
            return (after, gain + _scalar(reward(state, into(unit), after))), None

        return jax.lax.scan(step, (state, jnp.float32(0)), sequence)[0][1]

    def plan(state, key, belief=None):
        _check_model(model_step, state, into(blank.mean[0]))
        search = blank._replace(key=checks.key(key))
        if belief is not None:
            kept = None if belief.kept is None else jax.vmap(_shifted)(belief.kept)
            search = search._replace(mean=_shifted(belief.mean), kept=kept)

        def iterate(search: State, _):
            gains = jax.vmap(functools.partial(total, state))(strategy.ask(search))
            search, info = strategy.tell(search, gains)
            return search, info.best

        search, best = jax.lax.scan(iterate, search, length=iterations)
        return into(search.mean[0]), Belief(search.mean, search.sigma, search.kept, best[-1])

    start = Belief(blank.mean, blank.sigma, blank.kept, jnp.float32(jnp.nan))
    return Planner(plan, start, warm_start)


def random_shooting(
    model_step: Callable[[Any, jax.Array], Any],
    reward: Callable[[Any, jax.Array, Any], jax.Array],
    horizon: int = 12,
    candidates: int = 1000,
    *,
    action: Box | None = None,
) -> Planner:
    """Plan by the best of some random sequences: `cem_mpc` with one iteration and one elite.

    Args:
        model_step: `(state, action) -> state`, see `cem_mpc`.
        reward: `(state, action, next state) -> float[]`.
        horizon: how many steps are planned ahead.
        candidates: how many sequences are sampled, 2 or more.
        action: the bounds of an action, see `cem_mpc`.

    Returns:
        A `Planner`.

    >>> import jax, jax.numpy as jnp, jaxes
    >>> plan = jaxes.planning.random_shooting(lambda x, a: x + a[0], lambda x, a, after: -jnp.abs(after), 2, 500)
    >>> action, _ = jax.jit(plan)(jnp.float32(0.5), jax.random.key(0))
    >>> action.shape, bool(action[0] < 0)
    ((1,), True)
    """
    return cem_mpc(model_step, reward, horizon, candidates, elites=1, iterations=1, action=action)


def _limits(action: Box | None) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper bounds, float32[*action]."""
    if action is None:
        action = Box(-np.ones(1, np.float32), np.ones(1, np.float32))
    if not isinstance(action, Box):
        raise TypeError(f"action must be a jaxes.envs.Box, such as env.action, got {action!r}")
    low, high = (np.asarray(x, np.float32) for x in action)
    if low.shape != high.shape or not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        raise ValueError(f"action must have finite bounds of one shape, low below high; got {low} and {high}")
    return low, high


def _shifted(sequence: jax.Array) -> jax.Array:
    """The plan of the next step; the last action is repeated."""
    return jnp.concatenate([sequence[1:], sequence[-1:]])


def _scalar(gain: Any) -> jax.Array:
    if jnp.shape(gain) != ():
        raise ValueError(f"reward must return a scalar for one state and action, got shape {jnp.shape(gain)}")
    return jnp.asarray(gain).astype(jnp.float32)


def _check_model(model_step: Callable, state: Any, action: jax.Array) -> None:
    kinds = lambda tree: jax.tree.map(lambda x: f"{jnp.result_type(x)}{list(jnp.shape(x))}", tree)
    after = jax.eval_shape(model_step, state, action)
    if jax.tree.structure(after) != jax.tree.structure(state) or kinds(after) != kinds(state):
        raise ValueError(
            f"model_step must return a state like the one it is given: given {kinds(state)}, returned {kinds(after)}"
        )
