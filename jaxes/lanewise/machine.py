"""Machine code from LLVM's intermediate representation, in this process, by llvmlite."""

import functools
import threading
from typing import Any

_LOCK = threading.Lock()
_KEPT: list[Any] = []  # engines own the code


@functools.cache
def processor() -> tuple[str, str, int]:
    """The name, features, and numbers of 32 bits in a vector of this machine's processor."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = llvm.get_host_cpu_name()
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return name, features.flatten() + ",-prefer-256-bit", 16
    return name, features.flatten(), 8 if features.get("avx2") else 4


def compiled(source: str, symbol: str) -> int:
    """The address of a function of a module, compiled for this machine.

    >>> import ctypes
    >>> address = compiled("define i32 @twice(i32 %x) { %y = mul i32 %x, 2\\n ret i32 %y }", "twice")
    >>> ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(address)(21)
    42
    """
    import llvmlite.binding as llvm

    name, features, _ = processor()
    with _LOCK:
        module = llvm.parse_assembly(source)
        module.verify()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=name, features=features, opt=2, jit=True)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        _KEPT.append(engine)
        return engine.get_function_address(symbol)
