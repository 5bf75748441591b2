"""Define recurrent cells; `echo_jax.cell_names` lists the built-in cells by name.

vector_state, matrix_state  the built-in cells, one file per family
known_memory                cells to compare a measured cell with
interface                   the base of a cell, and the loop over time
linear_layers               functions that several cells share
block                       layers around a cell, and how many numbers are trained
registry                    finds a cell by its name, and builds it with its options
user_cell                   imports a user's cell, and finds the lines of its file
user_cell_check             checks a user's cell before training and before scoring
cell_object                 the cell of a run, from its configuration or from a Python call
adapters                    cells of other libraries and cells of plain functions
state_size                  the bytes of a state, and the options for a given number of bytes
"""
