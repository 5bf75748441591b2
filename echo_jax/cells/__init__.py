"""Recurrent cells, one file a family; how a cell is found by name, built and checked.

registry ─► user_cell        a class by its name; `cell_arguments` builds it from name=value
shape_check ─► cell_check    what every run checks of a cell; what a memory card checks too
scan                         the loop over time; `known_memory` has cells of known memory
"""
