"""Adapt cells of other libraries as a `Cell`, so that the rest of the package knows no library.

adapt, with Linen and plain functions ─► nnx_cell | equinox_cell | torch_adapter ─► torch_check
"""
