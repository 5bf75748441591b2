"""Adapt cells of other libraries as a `Cell`, so that the rest of the package knows no library.

adapt, with Linen and plain functions ─► built_cells (Equinox, NNX) ─► torch_adapter, torch_check
"""
