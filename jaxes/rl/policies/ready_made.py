"""Policies whose networks are ready made, sized for an environment."""

from collections.abc import Sequence
from typing import Any

from jaxes.envs import contract
from jaxes.envs.protocol import Env
from jaxes.rl.policies import heads
from jaxes.rl.policies.choosing import describes_choices
from jaxes.rl.policies.networks import ACTIVATIONS, CNN, CNNS, GRU, INITIALIZATIONS, LSTM, MLP, Recurrent, smallest
from jaxes.rl.policies.policy import Policy, policy
from jaxes.support import checks


def mlp(
    env: Env,
    hidden: Sequence[int] = (64, 64),
    head: str | None = None,
    *,
    activation: str = "tanh",
    last_scale: float | None = None,
    initialization: str = "lecun",
    action_noise: float = 0.0,
    reference: Any = None,
) -> Policy:
    """A multilayer perceptron for an environment with vector observations.

    Args:
        env: gives the number of inputs and outputs.
        hidden: sizes of the hidden layers; () for a linear policy.
        head: "tanh", "clip", "bins:COUNT", ..., see `jaxes.rl.policy`; by default "tanh", or "categorical" for choices.
        activation: "tanh", "relu", "elu" or "silu".
        last_scale: scale of the last layer's initial weights; by default 1 for "lecun" and 0.01 for "normc".
        initialization: "lecun" as in Flax, or "normc" as in OpenAI's code; see `jaxes.rl.policies.networks`.
        action_noise: standard deviation of Gaussian noise on vector actions, in training only.
        reference: raw observations, leaves [size, ...], for virtual batch normalization before every activation:
            `jaxes.rl.reference_batch(env, key)`, with `rollout(..., normalize=False)`.

    Raises:
        ValueError: if a setting is unknown or makes no sense, or the observations are no vectors.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> actor = rl.mlp(env, hidden=(8,))
    >>> params = actor.init(jax.random.key(0))
    >>> params["params"]["Dense_0"]["kernel"].shape
    (5, 8)
    """
    _check(env, "mlp", 1, hidden, activation, initialization)
    outputs = heads.head(env, head).outputs
    normalized = reference is not None
    module = MLP((*hidden, outputs), ACTIVATIONS[activation], last_scale, initialization, normalized)
    return policy(module, env, head=head, action_noise=action_noise, reference=reference)


def gru(
    env: Env,
    hidden: Sequence[int] = (64,),
    head: str | None = None,
    *,
    activation: str = "tanh",
    last_scale: float | None = None,
    initialization: str = "lecun",
    action_noise: float = 0.0,
) -> Policy:
    """A dense layer, layers of gated recurrent units, and a dense layer, for an environment with vector observations.

    Args:
        env: gives the number of inputs and outputs.
        hidden: sizes of the layers of cells; the dense layer before them has the first size.
        head: see `mlp`.
        activation: of the dense layer before the cells.
        last_scale: see `mlp`.
        initialization: of the dense layers, see `mlp`.
        action_noise: see `mlp`.

    Raises:
        ValueError: if a setting is unknown or makes no sense, or the observations are no vectors.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> actor = rl.gru(env, hidden=(8,))
    >>> actor.start(actor.init(jax.random.key(0))).carry[0].shape
    (8,)
    """
    return _recurrent(GRU, env, hidden, head, activation, last_scale, initialization, action_noise)


def lstm(
    env: Env,
    hidden: Sequence[int] = (64,),
    head: str | None = None,
    *,
    activation: str = "tanh",
    last_scale: float | None = None,
    initialization: str = "lecun",
    action_noise: float = 0.0,
) -> Policy:
    """The same as `gru` with long short-term memory; the carry of each layer is two vectors, float32[size] each.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> actor = rl.lstm(jaxes.envs.make("jaxes/cartpole_swingup"), hidden=(8,))
    >>> [x.shape for x in actor.start(actor.init(jax.random.key(0))).carry[0]]
    [(8,), (8,)]
    """
    return _recurrent(LSTM, env, hidden, head, activation, last_scale, initialization, action_noise)


def cnn(
    env: Env,
    kind: str = "nature",
    head: str | None = None,
    *,
    hidden: Sequence[int] | None = None,
    activation: str = "relu",
    last_scale: float | None = None,
    initialization: str = "lecun",
    action_noise: float = 0.0,
    reference: Any = None,
) -> Policy:
    """A convolutional network for an environment whose observations are pictures [height, width, channels].

    Pictures of uint8 are scaled to [0, 1]; use `rollout(..., normalize=False)` with them.

    Args:
        env: gives the size of the pictures and the number of outputs.
        kind: "nature" (Mnih et al. 2015) or "a3c" (the feed-forward network of Mnih et al. 2016).
        head: see `mlp`.
        hidden: sizes of the dense layers after the convolutions; by default as in the paper.
        activation: see `mlp`.
        last_scale: see `mlp`.
        initialization: see `mlp`.
        action_noise: see `mlp`.
        reference: see `mlp`.

    Raises:
        ValueError: if a setting is unknown or makes no sense, or the observations are no pictures or too small.

    >>> import jax, jax.numpy as jnp, jaxes
    >>> from jaxes import rl
    >>> small = jaxes.envs.make("jaxes/CyclicMDP")
    >>> screen = small._replace(observation=jax.ShapeDtypeStruct((84, 84, 4), jnp.uint8))
    >>> params = jax.eval_shape(rl.cnn(screen, head="categorical").init, jax.random.key(0))
    >>> params["params"]["Conv_0"]["kernel"].shape
    (8, 8, 4, 32)
    """
    convolutions, usual = CNNS[checks.choice("kind of cnn", kind, CNNS)]
    hidden = usual if hidden is None else hidden
    _check(env, "cnn", 3, hidden, activation, initialization)
    side = smallest(convolutions)
    if min(env.observation.shape[:2]) < side:
        raise ValueError(
            f"cnn {kind!r} needs pictures of {side} x {side} or more; those of {env.name} have the shape "
            f"{env.observation.shape}: give jaxes.rl.policy a jaxes.rl.CNN with smaller convolutions"
        )
    outputs, normalized = heads.head(env, head).outputs, reference is not None
    module = CNN(outputs, convolutions, hidden, ACTIVATIONS[activation], last_scale, initialization, normalized)
    return policy(module, env, head=head, action_noise=action_noise, reference=reference)


def _recurrent(
    kind: type[Recurrent], env, hidden, head, activation, last_scale, initialization, action_noise
) -> Policy:
    _check(env, kind.__name__.lower(), 1, hidden, activation, initialization)
    if not hidden:
        raise ValueError("hidden must have one layer of cells or more, got ()")
    outputs = heads.head(env, head).outputs
    module = kind(outputs, tuple(hidden), ACTIVATIONS[activation], last_scale, initialization)
    return policy(module, env, head=head, action_noise=action_noise)


def _check(env: Env, network: str, dimensions: int, hidden, activation: str, initialization: str) -> None:
    contract.fields(env)
    checks.one_of("activation", activation, ACTIVATIONS)
    checks.one_of("initialization", initialization, INITIALIZATIONS)
    if not all(map(checks.is_integer, hidden)):
        raise ValueError(f"hidden must be positive ints, got {tuple(hidden)}")
    if len(getattr(env.observation, "shape", ())) != dimensions:
        wanted = {1: "vector observations", 3: "observations of shape (height, width, channels)"}[dimensions]
        other = "use values" if describes_choices(env) else "give your own module to policy"
        raise ValueError(f"{network} needs {wanted}, got {env.observation} of {env.name}; {other}")
