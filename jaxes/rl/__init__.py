"""Reinforcement learning: policies, rollouts, evaluation."""

from jaxes.rl.episodes import Episodes, play
from jaxes.rl.evaluate import evaluation
from jaxes.rl.normalizer import Normalizer
from jaxes.rl.policies import MLP, Policy, mlp, policy
from jaxes.rl.rollout import rollout

__all__ = ["MLP", "Episodes", "Normalizer", "Policy", "evaluation", "mlp", "play", "policy", "rollout"]
