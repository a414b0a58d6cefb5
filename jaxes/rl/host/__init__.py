"""Rollouts on CPUs: worker processes that step environments of `jaxes.envs.host`, each for several members at once."""
