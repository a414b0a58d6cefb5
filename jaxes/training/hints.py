"""What `jaxes train --help` says of each setting: the form of its value, and what is used where none is given."""

import inspect
import types
import typing
from pathlib import Path
from typing import Any, Literal

from jaxes.training import config as settings
from jaxes.training.presets import DEFAULT

_TOLD = {  # what no signature tells
    "backend": "the suite's own",
    "action_repeat": "1",
    "noise": "gaussian",
    "head": "tanh, or categorical for choices",
    "lanes": "as many as there are episodes, or 64 for each worker",
    "max_steps": "the environment's own",
    "normalize": "on",
    "workers": "one for each core",
    "devices": "one",
    "comm": "blocks",
    "generations": "no limit",
    "steps": "no limit",
    "seconds": f"the preset's, usually {DEFAULT['seconds']:g}, if no limit is given",
    "target": "the preset's, if no limit is given",
    "report_every": "one about every second",
    "out": "runs/ENV-STRATEGY-SEED",
    "ray": "none",
    "resume": "none",
    "track": "none",
    "coordinator": "a single process",
    "processes": "one",
    "process_id": "0",
    "cap": "none",
    "clip_reward": "as they are",
    "alive_bonus": "none",
    "options": "the strategy's own",
}

_FORMS = {
    "env": "ENV",
    "function": "MODULE:NAME",
    "runs": "FOLDER ...",
    "names": "NAME ...",
    "track": "{wandb,mlflow,trackio}",
}
_WORDS = {int: "INT", float: "FLOAT", str: "STR", Path: "PATH", bool: "{True,False}"}


def default(name: str) -> str:
    """What is used where a setting of `jaxes train` is not given, in words; "" if nothing is to be said."""
    if name in _TOLD:
        return f"(default: {_TOLD[name]})"
    if name in DEFAULT:
        return f"(default: the preset's, usually {_said(DEFAULT[name])})"
    if name in settings._STRATEGY:
        return "(default: the strategy's own)"
    from jaxes import rl

    for function in (rl.mlp, rl.rollout):
        found = inspect.signature(function).parameters.get(name)
        if found is not None and found.default not in (None, inspect.Parameter.empty):
            return f"(default: {_said(found.default)})"
    return ""


def form(name: str, annotation: Any) -> str | None:
    """How a setting's value is written, without the None that stands for "not given"; None to leave it to others."""
    return _FORMS.get(name) or _form(annotation)


def _form(annotation: Any) -> str | None:
    options = [x for x in typing.get_args(annotation) if x is not types.NoneType]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        forms = [_form(option) for option in options]
        return None if None in forms else "|".join(filter(None, forms))
    if typing.get_origin(annotation) is Literal:
        return "{" + ",".join(map(str, options)) + "}"
    if typing.get_origin(annotation) is tuple:
        word = _WORDS[options[0]]
        return f"{word} [{word} ...]" if options[-1] is Ellipsis else " ".join(_WORDS[option] for option in options)
    return _WORDS.get(annotation)


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
