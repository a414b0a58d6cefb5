"""Policies: any Flax module as one, networks that are ready made, and the heads that turn outputs into actions."""

from jaxes.rl.policies.choosing import Values, values
from jaxes.rl.policies.networks import CNN, GRU, LSTM, MLP
from jaxes.rl.policies.policy import Policy, policy
from jaxes.rl.policies.ready_made import cnn, gru, lstm, mlp
from jaxes.rl.policies.reference import reference_batch
from jaxes.rl.policies.virtual_batch_norm import VirtualBatchNorm

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
]
