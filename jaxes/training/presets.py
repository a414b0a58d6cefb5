"""Settings that train well, measured on two CPU cores; anything given on the command line takes precedence.

A limit that is given (generations, steps, seconds or target) replaces all limits of the preset.
"""

from typing import Any

DEFAULT: dict[str, Any] = {
    "population_size": 64,
    "sigma": 0.05,
    "learning_rate": 0.02,
    "hidden": (32, 32),
    "seeds": "generation",  # all members start alike: their ranks have less noise
    "seconds": 600.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "brax/ant": {"normalize": "ars"},
    "brax/halfcheetah": {"normalize": "ars"},
    "brax/hopper": {"normalize": "ars", "target": 2000.0, "seconds": 235.0},
    "brax/inverted_pendulum": {"sigma": 0.1, "learning_rate": 0.05, "target": 995.0, "seconds": 60.0},
}
