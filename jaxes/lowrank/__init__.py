"""Members that differ from each other by matrices of low rank, of any model, at the cost of one model.

A matrix `W` of member `i` is `W + scale * A_i B_i^T` with thin factors, and is never made: `x W` is computed as one
product for the whole population, `x A_i B_i^T` by two thin ones (Sarkar et al. 2025, "Evolution Strategies at the
Hyperscale", arXiv:2511.16652).
"""

from jaxes.lowrank.interpreter import Use, structured
from jaxes.lowrank.leaf import LowRank, any_low_rank, dense, is_low_rank
from jaxes.lowrank.plan import Entry, Plan, Split, explain, plan
from jaxes.lowrank.population import common, each, interleaved, materialize, own, vmap, whole

__all__ = [
    "Entry",
    "LowRank",
    "Plan",
    "Split",
    "Use",
    "any_low_rank",
    "each",
    "interleaved",
    "own",
    "common",
    "whole",
    "dense",
    "explain",
    "is_low_rank",
    "materialize",
    "plan",
    "structured",
    "vmap",
]
