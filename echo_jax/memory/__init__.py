"""The memory of a recurrent cell in bits: one network a seed, trained once and asked everything.

protocol           all numbers of the measure, one value that is handed in
by_lag             a question of the state: data, network, loss and score
by_task, by_key    questions of the outputs: a task alone; pairs at each number of them
task_object, tasks what such a question draws
learning           networks that learn all lags, or all numbers of pairs, at once
scoring            what both scores are made of: steps of one stream, rounding, recalibration
train_and_score    a run of a card: a cell, a configuration and a seed ─► a row
rows               what a run answered; answers_to_bits is that as bits
card               rows ─► the card of a cell; a folder of files
named_cell         a name, arguments and bytes of state ─► a cell
make_card          the runs that a card lacks are made
kept_weights       the trained weights of a run as a file, and read back
export_import      tasks to a file, and rows from a file
pages              what is shown of cards: text, figures, pages, tables
"""
