"""The check of a user's cell: before every run by tracing, before a memory card by numbers.

shape_check       shapes and types; what every run checks
traced_programs   callbacks, randomness and weights without a gradient in the traced programs
cell_check        both, and 256 steps that are run
rounding          how much two computations of the same numbers may differ
"""
