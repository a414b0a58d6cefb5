"""Populations of any model whose members differ by matrices of low rank, at about the cost of one model.

Where the model has a matrix `W`, member `i` has `W + scale * A_i B_i^T` with thin factors. This sum is never computed:
`x W` is one product for the whole population, and `x A_i B_i^T` two thin products for each member (Sarkar et al. 2025,
"Evolution Strategies at the Hyperscale", arXiv:2511.16652).
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
