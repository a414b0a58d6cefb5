"""One program a lane: a function whose `vmap` computes with one vector of lanes for every element.

A jaxpr of one lane (`trace`, `rules`, `moves`, `loops`) becomes a table of operations on single elements (`table`),
folded and shared as it is written. The table becomes LLVM's intermediate representation (`schedule`, `llvm`,
`functions`, `products`), compiled in this process by llvmlite (`machine`), and XLA calls it as a foreign function for
all lanes (`frame`, `handler`, `threads`, `turning`, `kernel`). On NVIDIA cards the same table becomes one CUDA kernel,
a thread a lane (`c`, `nvidia`, `launcher`, `card`).

Why this way (benchmarks/lanewise.py measures all of them): XLA's own operations, a vector an element, are still a
kernel each, and XLA takes a minute to compile some thousands of them. Packed into one array and one "small call" they
are one function, which is faster, but compiles as slowly and depends on an attribute without a promise. A C compiler
makes good code, but users' machines need not have one, and it makes no vectors of so long a loop. LLVM compiles the
same program in a second, with a vector register for every element, on any machine that has the wheel.
"""

from jaxes.lanewise.explanation import Explanation
from jaxes.lanewise.function import lanewise, platform, unavailable

__all__ = ["Explanation", "lanewise", "platform", "unavailable"]
