"""Cells of other libraries as a `Cell`: the rest of the package knows no library.

adapt ─► linen_adapter, nnx_adapter, equinox_adapter, plain_functions
"""
