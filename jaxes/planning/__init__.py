"""Planning: search sequences of actions in a model, and do the first action of the best."""

from jaxes.planning.cem_mpc import Belief, Planner, cem_mpc, random_shooting
from jaxes.planning.control import Episode, episode
from jaxes.planning.simulator import simulator

__all__ = ["cem_mpc", "random_shooting", "Planner", "Belief", "simulator", "episode", "Episode"]
