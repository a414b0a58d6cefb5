"""`jaxes.cma_es` in NumPy, within bounds and on whole numbers: a search of a Python function needs no compiled program.

The formulas are those of `jaxes.strategies.cma_es`, `jaxes.wrappers` and `jaxes.termination`, in float64, and so are
the random numbers: tests hold the two to the same members. A generation takes a tenth of a millisecond where a compiled
program would take as long to be called, and nothing has to be compiled first.
"""
