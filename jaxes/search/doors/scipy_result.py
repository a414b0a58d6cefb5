"""What a search returns to SciPy's users."""

from typing import Any

from scipy.optimize import OptimizeResult

from jaxes.search.running.result import Result


class SearchResult(OptimizeResult):
    """SciPy's result, with the search's own as `search`, which is no item: printed, all would be there twice.

    Args:
        search: the search's own result; None if nothing had to be searched.
        **items: as SciPy names them.

    >>> SearchResult(None, x=[1.0], fun=2.0)
     fun: 2.0
       x: [1.0]
    """

    search: Result | None

    def __init__(self, search: Result | None, **items: Any):
        super().__init__(**items)
        object.__setattr__(self, "search", search)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), "search"]
