"""Wrap cells of other libraries as a `Cell`; `cells.adapt` chooses the wrapper.

linen_cell, functions_cell   a cell of Linen; plain functions
built_cell                   the base of the others, whose library builds a new cell for each seed
nnx_cell, equinox_cell, torch_adapter   NNX, Equinox, PyTorch
"""
