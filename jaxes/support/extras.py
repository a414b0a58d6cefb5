"""Optional packages: what to install for each extra of jaxes."""

import importlib.metadata
import re


def install(extra: str, otherwise: str) -> str:
    """The command that installs an extra: with its packages by their own names, wherever jaxes itself came from.

    Args:
        extra: its name.
        otherwise: the package to name where nothing tells what the extra has, as in a source tree.

    >>> install("nosuch", "paper")
    'pip install paper'
    """
    try:
        every = importlib.metadata.requires("jaxes") or []
    except importlib.metadata.PackageNotFoundError:
        every = []
    parted = [requirement.partition(";") for requirement in every]
    wanted = [what.strip() for what, _, marker in parted if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", marker)]
    quoted = [f"'{what}'" if re.search(r"[^\w.-]", what) else what for what in wanted]
    return f"pip install {' '.join(quoted) or otherwise}"


def missing(module: str, extra: str, error: Exception) -> ImportError:
    """The error for a missing optional dependency: how to install it."""
    return ImportError(f"{module} is not installed ({error}): {install(extra, module)} (the extra {extra!r} of jaxes)")
