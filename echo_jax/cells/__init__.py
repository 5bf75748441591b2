"""Define recurrent cells; `echo_jax.cell_names` lists the built-in cells by name.

From the equations of a cell to the cell of a run; each file imports only files above it:

interface                   the base of a cell, and the loop over time
linear_layers               functions that several cells share
trained_numbers             how many numbers of a cell are trained
block                       layers around a cell
adapters                    cells of other libraries and cells of plain functions
vector_state, matrix_state  the built-in cells, one file per family
state_numbers               the state of a cell as numbers side by side, and its bytes
adapt                       makes a `Cell` of a class, an object or functions
user_cell                   imports a user's cell, and finds the lines of its file
registry                    finds a cell by its name, and builds it with its options
known_memory                cells to compare a measured cell with
state_search                finds the options for a state of a given number of bytes
user_cell_check             checks a user's cell before training and before scoring
torch_check                 checks a layer of PyTorch
cell_object                 the cell of a run, from its configuration or from a Python call
"""
