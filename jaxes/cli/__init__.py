"""The command line: `jaxes train | sweep | evaluate | plot | render | bench | envs | strategies`.

`arguments` holds what each command takes, `training`, `results` and `lists` what it does, `main` calls them.
"""

from jaxes.cli.main import main

__all__ = ["main"]
