"""Evolution strategies, one a file; `STRATEGIES` names them all."""

from collections.abc import Callable

from jaxes.strategies.cem import cem
from jaxes.strategies.cma_es import cma_es
from jaxes.strategies.nes import nes
from jaxes.strategies.open_es import open_es
from jaxes.strategies.pgpe import pgpe
from jaxes.strategies.simple_es import simple_es
from jaxes.strategies.snes import snes
from jaxes.strategy import Strategy

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    make.__name__: make for make in (simple_es, nes, open_es, snes, cem, cma_es, pgpe)
}

__all__ = ["STRATEGIES", "cem", "cma_es", "nes", "open_es", "simple_es", "snes", "pgpe"]
