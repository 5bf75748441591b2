"""Recurrent cells, one file a family, and how a cell is found by name and checked.

`registry` maps names to classes; `known_memory` has cells whose memory is known in advance;
`scan` runs a cell over time.
"""
