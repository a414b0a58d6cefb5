"""The command line: `jaxes train | sweep | minimize | evaluate | plot | render | bench | envs | strategies`.

`arguments` holds what each command takes; `training`, `minimizing`, `results` and `lists` what it does; `main` calls
them.
"""

from jaxes.cli.main import main

__all__ = ["main"]
