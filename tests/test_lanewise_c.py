"""The source in C, which becomes a CUDA kernel, compiled by the system's compiler and held against `vmap`."""

import ctypes
import shutil
import subprocess

import jax
import numpy as np
import pytest
from lanewise_cases import CASES, LANES

from jaxes import envs
from jaxes.lanewise import c
from jaxes.lanewise.llvm import Array
from jaxes.lanewise.program import traced

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a compiler of C")
OTHERS = ("loop", "nested loops", "while", "cond", "switch", "scan", "swap", "bits", "linear algebra", "zero times")
OTHERS += ("keys", "keys that move", "normal numbers", "places", "updates at places", "sorting", "counts of bits")


def by_c(function, arguments, folder, name="lane"):
    """What the compiled source gives for all lanes, a leaf each; None for leaves without elements."""
    leaves, tree = jax.tree.flatten(arguments)
    shapes = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in leaves]
    closed = jax.make_jaxpr(lambda *leaves: function(*tree.unflatten(leaves)))(*shapes)
    program = traced(closed, platform="cuda")
    array = lambda value, dtype: Array(tuple(value.reshape(-1).tolist()), np.dtype(dtype))
    inputs = [array(v, x.dtype) for v, x in zip(program.inputs, leaves) if v.size]
    outputs = [array(v, a.dtype) for v, a in zip(program.outputs, program.avals) if v.size]
    (folder / f"{name}.c").write_text(c.source(program.table, inputs, outputs, name))
    # Without contraction of a * b + c, which a processor may round in another way.
    flags = ["-O1", "-shared", "-fPIC", "-ffp-contract=off", "-fwrapv"]
    subprocess.run(["cc", *flags, f"{name}.c", "-o", f"{name}.so", "-lm"], cwd=folder, check=True)
    lanes_last = [np.ascontiguousarray(np.asarray(x).reshape(len(x), -1).T) for x in leaves if x.size]
    lanes = len(leaves[0])
    results = [np.zeros((len(a.rows), lanes), a.dtype) for a in outputs]
    pointers = lambda arrays: (ctypes.c_void_p * len(arrays))(*(x.ctypes.data for x in arrays))
    getattr(ctypes.CDLL(str(folder / f"{name}.so")), name)(lanes, pointers(lanes_last), pointers(results))
    made = iter(results)
    return [next(made).T.reshape(lanes, *a.shape) if np.prod(a.shape) else None for a in program.avals]


def agree(function, arguments, folder, tolerance):
    want = jax.tree.leaves(jax.jit(jax.vmap(function))(*arguments))
    got = by_c(function, arguments, folder)
    for w, g in zip(want, got, strict=True):
        if g is not None and w.dtype.kind == "f":
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)
        elif g is not None:
            np.testing.assert_array_equal(g, w)


def operations(word):
    """All cases of elementary operations in one function."""
    names = [n for n in CASES if n.endswith(word) and len(CASES[n]) == 3]
    return lambda a, b: tuple(CASES[n][0](a, b) for n in names), CASES[f"add of {word}" if word != "pow" else "pow"][1:]


@pytest.mark.parametrize("name", OTHERS)
def test_programs(name, tmp_path):
    function, *arguments = CASES[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        agree(function, arguments, tmp_path, 1e-5)


@pytest.mark.parametrize("word", ["ints", "words"])
def test_whole_numbers(word, tmp_path):
    agree(*operations(word), tmp_path, 0)


def test_conversions(tmp_path):
    names = ["floats to int8", "floats to uint32", "floats to int32", "floats to bool"]
    agree(lambda x: tuple(CASES[n][0](x) for n in names), CASES[names[0]][1:], tmp_path, 0)


def test_physics(tmp_path):
    env = envs.make("brax/inverted_pendulum")
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), LANES))
    action = np.linspace(-1, 1, LANES, dtype=np.float32)[:, None]
    agree(env.step, (state, action), tmp_path, 1e-4)


def test_the_kernel_of_cuda_has_a_thread_a_lane():
    function, *arguments = CASES["loop"]
    program = traced(jax.make_jaxpr(function)(*(x[0] for x in arguments)))
    array = lambda value: Array(tuple(value.reshape(-1).tolist()), np.dtype("float32"))
    inputs = [*map(array, program.inputs)]
    text = c.cuda(program.table, inputs, [array(program.outputs[0])], "kernel", [False, True])
    assert 'extern "C" __global__ void kernel(int lanes, const float* in0, const float* __restrict__ in1' in text
    assert "blockIdx.x * blockDim.x + threadIdx.x" in text and "#include" not in text
    assert "in0[(long)0 * lanes + lane]" in text and "in1[0]" in text
