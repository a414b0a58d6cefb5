"""The kernel for NVIDIA cards, compiled for the processor: one thread after the other, held against `vmap`."""

import ctypes
import shutil
import subprocess
import warnings

import jax
import numpy as np
import pytest
from lanewise_cases import CASES, LANES

import jaxes
from jaxes import envs
from jaxes.lanewise import c, function, nvidia
from jaxes.lanewise.llvm import Array
from jaxes.lanewise.program import traced
from jaxes.lanewise.relaxed import relaxed

THREADS = """
#include <math.h>
#define __global__
#define __device__
#define __noinline__ __attribute__((noinline))
#define __int_as_float(x) (bitcast<int, float>(x))
static struct { int x; } blockIdx, blockDim, threadIdx;
"""
needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a compiler of C++")


def by_threads(program, leaves, folder, *, shared=(), in_place=None, relax=True):
    """What the kernel gives for all lanes, a leaf each; None for leaves without elements."""
    array = lambda value, dtype: Array(tuple(value.reshape(-1).tolist()), np.dtype(dtype))
    numbers = [k for k, x in enumerate(leaves) if x.size]
    inputs = [array(program.inputs[k], leaves[k].dtype) for k in numbers]
    outputs = [array(v, a.dtype) for v, a in zip(program.outputs, program.avals) if v.size]
    same = [k in shared for k in numbers]
    short = relaxed(program.table, inputs, outputs) if relax else None
    kernel = c.cuda(program.table, inputs, outputs, "kernel", same, short)
    types = [c.kind(a.dtype) for a in inputs + outputs]
    given = ", ".join(f"({kind}*)arrays[{k}]" for k, kind in enumerate(types))
    run = f"""extern "C" void run(int lanes, void** arrays) {{
      blockDim.x = 32;
      for (blockIdx.x = 0; blockIdx.x * 32 < lanes; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < 32; ++threadIdx.x) kernel(lanes, {given});
    }}"""
    (folder / "kernel.cpp").write_text("\n".join([THREADS, kernel, run]))
    flags = ["-O1", "-shared", "-fPIC", "-ffp-contract=off", "-fwrapv", "-w"]
    subprocess.run(["c++", *flags, "kernel.cpp", "-o", "kernel.so"], cwd=folder, check=True)
    lanes = next(len(x) for k, x in enumerate(leaves) if k not in shared)
    turned = lambda k: np.asarray(leaves[k]).reshape(-1) if k in shared else np.asarray(leaves[k]).reshape(lanes, -1).T
    memory = [np.array(turned(k), order="C") for k in numbers]
    results = [np.zeros((len(a.rows), lanes), a.dtype) for a in outputs]
    for i, j in (in_place or {}).items():
        results[j] = memory[i]
    pointers = [x.ctypes.data for x in memory + results]
    ctypes.CDLL(str(folder / "kernel.so")).run(lanes, (ctypes.c_void_p * len(pointers))(*pointers))
    made = iter(results)
    return [next(made).T.reshape(lanes, *a.shape) if np.prod(a.shape) else None for a in program.avals]


def program_of(function, arguments, shared=()):
    leaves, tree = jax.tree.flatten(arguments)
    one = lambda k, x: x.shape if k in shared else x.shape[1:]
    shapes = [jax.ShapeDtypeStruct(one(k, x), x.dtype) for k, x in enumerate(leaves)]
    return traced(jax.make_jaxpr(lambda *x: function(*tree.unflatten(x)))(*shapes), platform="cuda"), leaves


def agree(want, got, tolerance):
    for w, g in zip(jax.tree.leaves(want), got, strict=True):
        if g is not None and w.dtype.kind == "f":
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)
        elif g is not None:
            np.testing.assert_array_equal(g, w)


@needs_compiler
@pytest.mark.parametrize("name", ["loop", "nested loops", "while", "cond", "swap", "bits", "linear algebra"])
def test_programs(name, tmp_path):
    case, *arguments = CASES[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        agree(jax.jit(jax.vmap(case))(*arguments), by_threads(*program_of(case, arguments), tmp_path), 1e-5)


@pytest.fixture(scope="module")
def pendulum():
    env = envs.make("brax/inverted_pendulum")
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), LANES))
    action = np.linspace(-1, 1, LANES, dtype=np.float32)[:, None]
    return env.step, state, action, jax.jit(jax.vmap(env.step))


@needs_compiler
@pytest.mark.parametrize("relax", [True, False])
def test_physics_with_lanes_that_are_not_finite(pendulum, tmp_path, relax):
    step, state, action, by_vmap = pendulum
    action = action.copy()
    action[[1, LANES - 1], 0] = np.nan, np.inf
    agree(by_vmap(state, action), by_threads(*program_of(step, (state, action)), tmp_path, relax=relax), 1e-4)


@needs_compiler
def test_a_state_in_its_own_place_and_an_argument_that_all_lanes_share(tmp_path):
    turn = lambda x, y, z: (y + z, x - z, x * y)
    x, y = np.random.default_rng(0).normal(size=(2, 70, 3)).astype(np.float32)
    z = np.float32([1, 2, 3])
    program, leaves = program_of(turn, (x, y, z), shared={2})
    got = by_threads(program, leaves, tmp_path, shared={2}, in_place={0: 0, 1: 1})
    agree(turn(x, y, z), got, 1e-6)


def test_without_the_compiler_of_kernels_vmap_does_it_and_says_so(monkeypatch):
    """On a machine whose JAX has a card."""
    monkeypatch.setattr(function, "platform", lambda: "cuda")
    monkeypatch.setattr(nvidia, "missing", lambda: "NVRTC is not found (pip install nvidia-cuda-nvrtc)")
    function.unavailable.cache_clear()
    made = jaxes.lanewise(lambda x: x + 1)
    with pytest.warns(UserWarning, match="done by vmap, NVRTC is not found"):
        np.testing.assert_array_equal(jax.vmap(made)(np.ones(3, np.float32)), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.vmap(made)(np.ones(3, np.float32))
    function.unavailable.cache_clear()


def test_there_are_no_kernels_for_other_accelerators():
    assert "tpu" in function.unavailable("tpu")


def test_what_is_missing_is_told(monkeypatch):
    nvidia.missing.cache_clear()
    monkeypatch.setattr(nvidia, "driver", lambda: None)

    def nothing():
        raise OSError

    monkeypatch.setattr(nvidia, "compiler", nothing)
    assert "nvidia-cuda-nvrtc" in nvidia.missing()
    monkeypatch.setattr(nvidia, "driver", nothing)
    nvidia.missing.cache_clear()
    assert "libcuda" in nvidia.missing()
    nvidia.missing.cache_clear()
