"""One program a lane: a function whose `vmap` computes with one vector of lanes for every element."""

from jaxes.lanewise.explanation import Explanation
from jaxes.lanewise.function import lanewise

__all__ = ["Explanation", "lanewise"]
