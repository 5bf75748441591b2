"""Recurrent cells: how a cell is found by name and built, and what it is made of.

vector_state, matrix_state    the cells, one file a family; `known_memory` has those of known memory
interface ─► projected_cell   the base of a cell, and of one whose products do not wait for it
scan, layer_parts, block      the loop over time, norms and initial weights, layers around a cell
registry ─► cell_arguments    a class by its name, `user_cell` a user's own, built from name=value
cell_facts                    the paper of each built-in cell, and the size of its state
check, adapters               the check of a user's cell; cells of Linen, NNX, Equinox and functions
"""
