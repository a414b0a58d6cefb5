"""Evolution strategies as a method of `scipy.optimize.minimize`."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxes.search.arguments.bounds import spread, whole_of
from jaxes.search.doors import scipy_problem
from jaxes.search.minimization import minimize_function
from jaxes.support import checks
from jaxes.support.numerals import value_of, values_of
from jaxes.termination import Tolerances

_SCIPYS = ("f", "x0", "bounds", "constraints", "callback")
_SETTINGS = tuple(
    name
    for name, parameter in inspect.signature(minimize_function).parameters.items()
    if name not in _SCIPYS and parameter.kind is parameter.KEYWORD_ONLY
)
_STATUS = {
    **{"budget": 1, "seconds": 1, "iterations": 2, "invalid": 3, "infeasible": 4, "upsigma": 5},
    **{"interrupted": 98, "callback": 99},
}
_MESSAGES = {
    "iterations": "Maximum number of iterations has been exceeded.",
    "callback": "`callback` raised `StopIteration`.",
    "infeasible": "The constraints are not met at the best point found.",
}


def scipy_method(sigma: Any = None, *more: Any, **settings: Any) -> Callable[..., Any]:
    """A method for `scipy.optimize.minimize`: `minimize(f, x0, method=scipy_method(sigma=0.5))`.

    `fun`, `x0`, `args`, `bounds`, `constraints` (equalities to 1e-6), `callback` (of both kinds; StopIteration ends the
    search), `tol` and `options` are as for SciPy's own methods. A coordinate with equal bounds is not searched; a start
    outside the bounds is moved to them, with SciPy's warning; gradients are not used.

    Options: `maxfev` (or `maxfun`) and `maxiter` (generations), `xatol` and `fatol` (`tol` is both; either one ends
    the search), `f_target`, `disp` (a table from the start, and how it ended), and any setting below.

    Args:
        sigma: initial standard deviation, one number or one for each coordinate; by default a quarter of the width
            between two bounds, and elsewhere of |x0|, or of 1 if that is more.
        **settings: of `jaxes.minimize_function`: strategy, population_size, restarts, integer, seed, vectorized, ...

    Returns:
        The method. It returns a `scipy.optimize.OptimizeResult` with `x`, `fun`, `nfev`, `nit` (generations), `success`
        (False if a limit, the callback or Ctrl-C ended the search, if there is no minimum, or if constraints are not
        met), `status` (0 with success), `message`, with constraints `maxcv` (how far the worst one is exceeded), and,
        not printed, `search`, the whole result of `minimize_function` (None where all coordinates are fixed).

    Raises:
        TypeError: for what `scipy.optimize.minimize` takes itself, or if SciPy is given this function uncalled.

    >>> import numpy as np, scipy.optimize
    >>> f = lambda x: np.sum((x - [1, 2]) ** 2)
    >>> result = scipy.optimize.minimize(f, [0, 0], bounds=[(-5, 5), (-5, 5)], method=scipy_method(seed=3))
    >>> result.success, np.round(result.x, 4).tolist()
    (True, [1.0, 2.0])
    """
    if callable(sigma) or more:
        raise TypeError("method must be jaxes.scipy_method(), with parentheses; sigma=... may stand in them")
    for name in settings:
        if name in _SCIPYS:
            raise TypeError(f"{name} is given to scipy.optimize.minimize, not to scipy_method")

    def method(
        fun,
        x0,
        args=(),
        *,
        jac=None,
        hess=None,
        hessp=None,
        bounds=None,
        constraints=(),
        callback=None,
        tol=None,
        disp=False,
        maxiter=None,
        **options,
    ):
        from scipy.optimize import OptimizeWarning

        from jaxes.search.doors.scipy_result import SearchResult

        if jac is not None or hess is not None or hessp is not None:
            warnings.warn("An evolution strategy does not use gradient information (jac, hess).", RuntimeWarning, 3)
        chosen = {"sigma": sigma, "verbose": 2 if disp else 0, **settings}
        chosen |= _renamed(options, tol, chosen)
        for name in [name for name in options if name in ("sigma", *_SETTINGS)]:
            chosen[name] = options.pop(name)
        if options:
            warnings.warn(f"Unknown solver options: {', '.join(options)}", OptimizeWarning, stacklevel=3)
        if maxiter is not None:
            checks.count("maxiter", int(maxiter) if isinstance(maxiter, float) and maxiter.is_integer() else maxiter)
        x0 = np.asarray(x0, float)
        box = scipy_problem.box_of(bounds, x0.size)
        x0 = scipy_problem.start_within(x0, box)
        limits = scipy_problem.limits_of(constraints)
        if not box.free.any():
            broken = {} if limits is None else {"maxcv": float(max(0.0, *limits(x0)))}
            end = _end("infeasible" if any(broken.values()) else "fixed", "All coordinates are fixed by their bounds.")
            if chosen["verbose"] > 1:
                print(end["message"])
            return SearchResult(None, x=x0, fun=_value_at(fun, x0, args, settings), nfev=1, nit=0, **broken, **end)
        if chosen["sigma"] is None:
            chosen["sigma"] = scipy_problem.usual_sigma(x0, box)
        if limits is not None:
            one = lambda part: limits(box.whole(part))
            many = lambda parts: np.stack([one(part) for part in parts])
            chosen["constraints"] = many if settings.get("vectorized") else one
        told = _Callback(callback, box, maxiter)
        result = minimize_function(
            lambda part: fun(box.whole(part), *args),
            x0[box.free],
            bounds=(box.low[box.free], box.high[box.free]) if np.isfinite([box.low, box.high]).any() else None,
            callback=told,
            **_of_free(chosen, box),
        )
        x = None if result.x is None else box.whole(result.x)
        stop = told.stop or result.stop
        extra = {}
        if limits is not None:
            extra["maxcv"] = result.violation
            stop = "infeasible" if result.violation > 0 and stop not in _STATUS else stop
        end = _end(stop, result.message)
        if chosen["verbose"] > 1 and end["message"] != result.message:
            print(end["message"])
        return SearchResult(result, x=x, fun=result.fun, nfev=result.nfev, nit=result.nit, **end, **extra)

    return method


def _value_at(fun: Callable[..., Any], x: np.ndarray, args: tuple, settings: dict[str, Any]) -> float:
    """The value of a single point, also of a function of all candidates at once."""
    if settings.get("vectorized"):
        return float(values_of(fun(x[None], *args), 1, "what f returns with vectorized=True")[0])
    return value_of(fun(x, *args))


def _end(stop: str, message: str) -> dict[str, Any]:
    status = next((number for name, number in _STATUS.items() if name in stop.split(", ")), 0)
    return {"success": status == 0, "status": status, "message": _MESSAGES.get(stop, message)}


def _renamed(options: dict[str, Any], tol: float | None, chosen: dict[str, Any]) -> dict[str, Any]:
    """SciPy's options, which are taken out, as settings of the search."""
    take = lambda *names: next((value for name in names if (value := options.pop(name, None)) is not None), None)
    found = {"budget": take("maxfev", "maxfun"), "target": take("f_target")}
    xatol, fatol = (next((x for x in (take(*names), tol) if x is not None), None) for names in _TOLERANCES)
    if not (xatol is None and fatol is None):
        tolerances = chosen.get("tolerances") or Tolerances()
        if xatol is not None:
            tolerances = tolerances._replace(x=float(xatol))
        if fatol is not None:
            tolerances = tolerances._replace(fun=float(fatol), fun_history=float(fatol))
        found["tolerances"] = tolerances
    return {name: value for name, value in found.items() if value is not None}


_TOLERANCES = (("xatol", "xtol"), ("fatol", "ftol"))


def _of_free(chosen: dict[str, Any], box: scipy_problem.Box) -> dict[str, Any]:
    """Settings with one value for each coordinate, for those that are searched."""
    if box.free.all():
        return chosen
    every, out = np.zeros(box.free.size), dict(chosen)
    if np.ndim(out["sigma"]):
        out["sigma"] = spread(out["sigma"], every, "sigma")[box.free]
    whole = whole_of(out.get("integer"), every)
    out["integer"] = None if whole is None else whole[box.free]
    return out


class _Callback:
    """SciPy's callback, of either kind, called after every generation."""

    def __init__(self, callback: Callable[..., Any] | None, box: scipy_problem.Box, maxiter: int | None):
        self._callback, self._box, self._maxiter = callback, box, maxiter
        self._by_name = callback is not None and set(_parameters(callback)) == {"intermediate_result"}
        self._generations = 0
        self.stop = ""

    def __call__(self, row: dict[str, Any]) -> bool:
        from scipy.optimize import OptimizeResult

        self._generations += 1
        if self._callback is not None:
            x = self._box.whole(row["mean"] if row["x"] is None else row["x"])
            try:
                if self._by_name:
                    told = OptimizeResult(x=x, fun=row["fun"], nfev=row["nfev"], nit=self._generations)
                    self._callback(intermediate_result=told)
                else:
                    self._callback(x)
            except StopIteration:
                self.stop = "callback"
        if not self.stop and self._generations == self._maxiter:
            self.stop = "iterations"
        return bool(self.stop)


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some built-in functions do not tell
        return ()
