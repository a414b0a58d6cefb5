"""Reinforcement learning: policies, rollouts, evaluation."""

from jaxes.rl.episodes import Episodes, play
from jaxes.rl.evaluate import evaluation, uncapped_mean
from jaxes.rl.normalizer import Normalizer
from jaxes.rl.policies.choosing import Values, values
from jaxes.rl.policies.networks import CNN, GRU, LSTM, MLP
from jaxes.rl.policies.policy import Policy, policy
from jaxes.rl.policies.ready_made import cnn, gru, lstm, mlp
from jaxes.rl.policies.reference import reference_batch
from jaxes.rl.policies.virtual_batch_norm import VirtualBatchNorm
from jaxes.rl.rollout import rollout

__all__ = [
    "Policy",
    "cnn",
    "gru",
    "lstm",
    "mlp",
    "policy",
    "values",
    "CNN",
    "GRU",
    "LSTM",
    "MLP",
    "Values",
    "VirtualBatchNorm",
    "reference_batch",
    "Episodes",
    "Normalizer",
    "evaluation",
    "play",
    "rollout",
    "uncapped_mean",
]
