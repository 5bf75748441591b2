"""The memory of a recurrent cell in bits: one network a seed, trained once and asked everything.

protocol       every number that is fixed
tasks          random streams, and pairs of a key and a value
training       networks that learn all lags, or all numbers of pairs, at once
score          the answers of trained weights, step by step on one stream
recalibration  of the heads that read the state
measure        seeds and configurations ─► rows
rows, bits     what each run answered, and that as bits; row_file reads and checks them
card           rows ─► the card of a cell; a folder of files
named_cell     a name, arguments and bytes of state ─► a cell
making         cards in the making: runs that lack a row are made
exchange       tasks to a file and rows from a file, for other frameworks
pages          what is shown of cards: text, figures, pages, tables
"""
