"""Pickling what a script or a notebook defines."""

import functools
import io
from types import CodeType
from typing import Any


def dumps(value: Any) -> bytes:
    """Pickle a value with all that no importable module defines: lambdas, closures, classes of a script.

    Tracebacks of the functions show their lines, as far as the files can be read where they run.

    >>> import pickle
    >>> pickle.loads(dumps(lambda x: x + 1))(2)
    3
    """
    file = io.BytesIO()
    _pickler()(file).dump(value)
    return file.getvalue()


@functools.cache
def _pickler() -> Any:
    import cloudpickle

    inside: Any = cloudpickle.Pickler.dispatch_table
    table = inside.new_child()

    class Pickler(cloudpickle.Pickler):
        dispatch_table = table

    def with_file(code: CodeType) -> tuple[Any, tuple]:
        make, arguments = inside[CodeType](code)
        return make, tuple(code.co_filename if x == "<dynamic-code>" else x for x in arguments)  # 3.1.3 on

    table[CodeType] = with_file
    return Pickler
