"""Guided evolution strategies: perturbations mostly along past gradients, or along surrogate gradients.

Maheswaranathan, Metz, Tucker, Choi, Sohl-Dickstein: "Guided evolutionary strategies: Augmenting random search with
surrogate gradients", ICML 2019, arXiv:1806.10230, section 3 (Algorithm 1).
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.noise import gaussian
from jaxes.schedules import Number
from jaxes.shaping import Shaping, identity, shaped, shaping_of
from jaxes.strategies.parts import flat
from jaxes.strategies.parts.clip_up import direction
from jaxes.strategies.parts.descent import Decay, descent
from jaxes.strategies.parts.flat import by_chunks
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategies.parts.subspaces import orthonormal
from jaxes.strategies.parts.weights import pulls
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks, keys, trees
from jaxes.support.keys import Stream


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    guides: jax.Array  # float[k, n]: the last k surrogate gradients, of length 1, newest first; random at first
    basis: jax.Array  # float[k, n]: an orthonormal basis of what they span (U^T)
    sigma: jax.Array  # float[]: root mean square length of a perturbation
    alpha: jax.Array  # float[]: part of the variance that is spent on the full space, in [0, 1]
    beta: jax.Array  # float[]: scale of the gradient
    learning_rate: jax.Array  # float[]: scales the optimizer's update
    weight_decay: jax.Array  # float[]: strength of the decay
    optimizer: Any  # state of tx


@strategy_factory
def guided_es(
    population_size: int,
    sigma: Number = 0.1,
    *,
    subspace: int = 2,
    surrogates: Literal["past", "given"] = "past",
    alpha: Number = 0.5,
    beta: Number = 2.0,
    learning_rate: Number | None = None,
    tx: Optimizer | None = None,
    shaping: Shaping | str | None = None,
    weight_decay: Number = 0.0,
    decay: Decay = "decoupled",
    blocks: int = 1,
) -> Strategy:
    """Guided evolution strategies.

    Perturbations have the covariance `sigma^2 (alpha / n I + (1 - alpha) / k U U^T)`, where U is an orthonormal basis
    of k surrogate gradients; their root mean square length is sigma for every n. The parameters are raveled into one
    vector inside. While there are fewer than k surrogate gradients, random directions take the missing places.

    Args:
        population_size: members per generation, even: pairs of mirror images.
        sigma: root mean square LENGTH of a perturbation, in units of the parameters (the sigma of `open_es` is the
            deviation of every coordinate); a number or an optax schedule.
        subspace: k, how many surrogate gradients are kept, from 1 to n.
        surrogates: "past": the gradient estimates of the last k generations. "given": the gradients that
            `jaxes.guide(state, gradient)` puts in, such as biased or truncated ones that are computed elsewhere.
        alpha: part of the variance that is spent on the full space; 1 is a plain evolution strategy, 0 searches the
            subspace only; a number or an optax schedule.
        beta: scale of the gradient, a number or an optax schedule.
        learning_rate: Adam's step size, 0.01 by default, a number or an optax schedule. Beside a `tx` it multiplies the
            update of `tx` and is 1 by default.
        tx: an optax transformation, or the name of one ("adam", "sgd", ...) or its factory at the `learning_rate`; run
            on the real parameter tree; it is given the negative gradient and must descend. Adam by default.
        shaping: from fitness to weights; `jaxes.shaping.identity()` by default.
        weight_decay: strength of the decay, a number or an optax schedule.
        decay: "decoupled" or "l2", as in `open_es`.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `alpha`, `beta`, `learning_rate`, `weight_decay`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.guided_es(8, 0.1, learning_rate=0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.1)
    True
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    checks.count("subspace", subspace)
    checks.one_of("surrogates", surrogates, ("past", "given"))
    rates = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    optimizer = descent(tx, decay, sigma=sigma, alpha=alpha, beta=beta, **rates)
    shaping = shaping_of(shaping, identity)
    noise, pairs = gaussian(), population_size // 2

    def init(key, params, **numbers) -> State:
        params = checks.params(params)
        n = trees.size(params)
        if subspace > n:
            raise ValueError(f"subspace must be at most the number of parameters {n}, got {subspace}")
        fields = optimizer.init(key, params, **numbers)
        if not isinstance(fields["alpha"], jax.core.Tracer) and float(fields["alpha"]) > 1:
            raise ValueError(f"alpha must be at most 1, got {float(fields['alpha']):g}")
        guides = jax.random.normal(keys.stream(key, Stream.DIRECTION), (subspace, n), trees.number_dtype(params))
        return State(guides=guides, basis=orthonormal(guides), **fields)

    def draw(state, which):
        k, n = state.basis.shape
        full, inside = noise.sample(keys.of_generation(state), which, (state.basis[0], state.basis[:, 0]))
        project = lambda rows: flat.times(rows, state.basis)
        wide, narrow = jnp.sqrt(state.alpha * (1 / n)), jnp.sqrt((1 - state.alpha) * (1 / k))
        return wide * full + narrow * by_chunks(project, inside)  # eq. 2: epsilon / sigma

    def ask(state, ids=None):
        return flat.members(state, ids, population_size, lambda which: draw(state, which), antithetic=True)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)
        pull = pulls(weights, fitness)
        block = lambda part: ((), trees.weighted_rows(part.of(pull), draw(state, part)))
        _, total = over_blocks(block, pairs, blocks, comm)
        gradient = -state.beta / (population_size * state.sigma) * total  # eq. 3
        new = _pushed(state, gradient) if surrogates == "past" else {}
        return optimizer.step(state, fitness, trees.unravel(gradient, state.mean), **new)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def guide(state: State, gradient: Any) -> State:
    """Put a surrogate gradient into the state of a `guided_es`, in the place of the oldest one.

    Args:
        state: a state of `guided_es(surrogates="given")`.
        gradient: a tree like the parameters; neither its length nor its sign matters. A gradient without a direction
            (zero, or not finite) changes nothing.

    Raises:
        ValueError: if the shapes of the gradient are not the parameters' shapes.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.guided_es(8, 0.1, subspace=1, surrogates="given")
    >>> state = jaxes.guide(strategy.init(jax.random.key(0), jnp.ones(3)), jnp.array([0.0, 2.0, 0.0]))
    >>> state.guides.tolist()
    [[0.0, 1.0, 0.0]]
    """
    if jax.tree.map(jnp.shape, gradient) != jax.tree.map(jnp.shape, state.mean):
        raise ValueError(
            f"gradient must have the parameters' shapes {jax.tree.map(jnp.shape, state.mean)}, "
            f"got {jax.tree.map(jnp.shape, gradient)}"
        )
    return state._replace(**_pushed(state, trees.ravel(gradient, state.basis.dtype)))


def _pushed(state: State, gradient: jax.Array) -> dict[str, jax.Array]:
    fine = jnp.all(jnp.isfinite(gradient)) & jnp.any(gradient != 0)
    unit = direction(jnp.where(fine, gradient, 0))
    guides = jnp.where(fine, jnp.concatenate([unit[None], state.guides[:-1]]), state.guides)
    return {"guides": guides, "basis": jnp.where(fine, orthonormal(guides), state.basis)}
