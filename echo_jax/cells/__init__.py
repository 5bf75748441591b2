"""Recurrent cells; `echo_jax.cell_table` has the built-in ones by name.

vector_state, matrix_state    the cells, one file a family; `known_memory` the anchors
interface ─► projected_cell   the base of a cell, and of one whose products do not wait for it
scan, norms, initial_weights  the loop over time, and what several cells share
block                         layers around a cell
registry ─► user_cell         a cell by its name and its options; a user's own, which has a file
user_cell_check               what a user's cell must be, before it is trained and as it is scored
cell_args                  options in a text, and the rules of options that several cells have
cell_object, adapters         a cell that a call hands over; those of Linen, NNX, Equinox, functions
state_size                    the bytes of a state, and the options for a state of so many
"""
