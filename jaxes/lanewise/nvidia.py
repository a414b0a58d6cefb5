"""NVIDIA's compiler of kernels at run time (NVRTC) and its driver, as JAX for CUDA brings them."""

import ctypes
import functools
import importlib.util
import os
from pathlib import Path

import jax

MAJORS = (13, 12)


@functools.cache
def missing() -> str | None:
    """Why no kernel can be compiled and launched here; None if it can."""
    try:
        driver()
    except OSError:
        return "the driver (libcuda.so.1) is not found"
    try:
        compiler()
    except OSError:
        return "NVRTC is not found (pip install nvidia-cuda-nvrtc)"
    return None


@functools.cache
def driver() -> ctypes.CDLL:
    """The driver's library."""
    return ctypes.CDLL("libcuda.so.1")


@functools.cache
def compiler() -> ctypes.CDLL:
    """NVRTC's library: one of JAX's own packages, or the system's."""
    packages = importlib.util.find_spec("nvidia")
    folders = [Path(p) for p in packages.submodule_search_locations or []] if packages else []
    for major in MAJORS:
        name = f"libnvrtc.so.{major}"
        found = [path for folder in folders for path in sorted(folder.glob(f"*/lib/{name}"))]
        for path in [*map(str, found), name]:
            try:
                return ctypes.CDLL(path)
            except OSError:
                continue
    raise OSError("libnvrtc.so")


def architecture() -> str:
    """What code of the card in use is compiled for, as in "sm_90"."""
    return "sm_" + jax.devices("cuda")[0].compute_capability.replace(".", "")


def compiled(source: str, architecture: str, *, fast: bool = False) -> bytes:
    """A module's machine code (cubin).

    Args:
        source: CUDA C++.
        architecture: for which cards, as in "sm_90".
        fast: approximate mathematics, and numbers below the smallest normal one are 0.

    Raises:
        RuntimeError: with the compiler's own words, if it refuses the source.
    """
    nvrtc = compiler()
    program = ctypes.c_void_p()
    _checked(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"lanewise.cu", 0, None, None))
    options = [f"--gpu-architecture={architecture}", "--std=c++17", "--disable-warnings", *["--use_fast_math"] * fast]
    try:
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        if nvrtc.nvrtcCompileProgram(program, len(options), given):
            size = ctypes.c_size_t()
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetProgramLog(program, log)
            raise RuntimeError(f"NVRTC: {log.value.decode()}")
        size = ctypes.c_size_t()
        _checked(nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)))
        code = ctypes.create_string_buffer(size.value)
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
        return code.raw
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def loaded(code: bytes, symbol: str) -> int:
    """The driver's handle of a kernel, good for every card."""
    cuda = driver()
    _checked(cuda.cuInit(0))
    library, kernel = ctypes.c_void_p(), ctypes.c_void_p()
    _checked(cuda.cuLibraryLoadData(ctypes.byref(library), code, None, None, 0, None, None, 0))
    _checked(cuda.cuLibraryGetKernel(ctypes.byref(kernel), library, symbol.encode()))
    return kernel.value or 0


def launch() -> int:
    """The address of the function that launches a kernel."""
    return ctypes.cast(driver().cuLaunchKernel, ctypes.c_void_p).value or 0


def kept(source: str, symbol: str, architecture: str, *, fast: bool) -> bytes:
    """As `compiled`, from the folder of JAX's compilation cache where it is there already."""
    folder = getattr(jax.config, "jax_compilation_cache_dir", None)
    if not folder or "://" in folder:
        return compiled(source, architecture, fast=fast)
    path = Path(folder) / f"{symbol}-{architecture}{'-fast' * fast}.cubin"
    if path.exists():
        return path.read_bytes()
    code = compiled(source, architecture, fast=fast)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(code)
    fresh.replace(path)
    return code


def _checked(code: int) -> None:
    if code:
        raise RuntimeError(f"CUDA: error {code}")
