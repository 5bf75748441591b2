"""Recurrent cells; `echo_jax.cell_table` has the built-in ones by name.

vector_state, matrix_state    the cells, one file a family; `known_memory` has those of known memory
interface ─► projected_cell   the base of a cell, and of one whose products do not wait for it
scan, norms, initial_weights  the loop over time, and what several cells share
block                         layers around a cell
registry ─► user_cell         a cell by its name and its options; a user's own, which has a file
cell_arguments, cell_object   options in a text; a cell that a Python call hands over
door, adapters                the check of a user's cell; cells of Linen, NNX, Equinox and functions
"""
