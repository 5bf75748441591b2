"""Define recurrent cells; `echo_jax.cell_names` lists the built-in cells by name.

vector_state, matrix_state  the cells, one file per family; `known_memory` has the anchors
interface, linear_layers    the base of a cell, the loop over time; what several cells share
block                       layers around a cell, and how many numbers are trained
registry ─► user_cell       a cell by its name and its options; a user's cell, which has a file
user_cell_check             the check of a user's cell, before training and before it is scored
cell_object, adapters       the cell of a run or a call; cells of other libraries or of functions
state_size                  the bytes of a state, and the options for a given number of bytes
"""
