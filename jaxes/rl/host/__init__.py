"""Rollouts on CPUs: worker processes that step environments of `jaxes.envs.host`, several members at once each."""
