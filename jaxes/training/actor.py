"""The environment and the policy that settings ask for; the same settings always make the same."""

import jax

from jaxes import envs, rl
from jaxes.envs import Env
from jaxes.rl.policies.policy import Policy
from jaxes.support import keys
from jaxes.support.keys import Stream
from jaxes.training import config as settings
from jaxes.training.config import Config

_NETWORKS = {"mlp": rl.mlp, "gru": rl.gru, "lstm": rl.lstm, "cnn": rl.cnn, "values": rl.values}


def actor(config: Config) -> tuple[Env, Policy]:
    """Make the environment and its policy.

    With virtual batch normalization the reference batch is collected from the run's seed, so that a trained policy can
    be restored without a batch on disk.

    Raises:
        ValueError: if the two do not fit each other.
    """
    env = envs.make(config.env, **({} if config.backend is None else {"backend": config.backend}))
    if config.action_repeat is not None:
        env = envs.repeated(env, config.action_repeat)
    options = settings.policy_options(config)
    if config.virtual_batch_norm:
        key = keys.stream(jax.random.key(config.seed, impl=config.random), Stream.REFERENCE)
        options["reference"] = rl.reference_batch(env, key)
    return env, _NETWORKS[config.network.partition(":")[0]](env, **options)
