"""The memory of a recurrent cell in bits: one network a seed, trained once and asked everything.

protocol           all numbers of the measure, one value that is handed in
by_lag             a question of the state: data, network, loss and score
by_task, by_key    questions of the outputs: a task alone; pairs at each number of them
tasks              the built-in tasks; by_task says what a task is
torch_question     the questions of layers in PyTorch
learning           how the network of any question learns, and is scored by steps of one stream
train_and_score    a run of a card: the cell of a name, a configuration and a seed ─► a row
rows               what a run answered; reading is its answer about a picture
card               rows ─► bits ─► the card of a cell; a folder of files
make_card          the runs that a card lacks are made, and some made again
card_call          the calls echo_jax.card and cards, and what they return
kept_weights       the trained weights of a run as a file, and read back
pages              what is shown of cards: text, figures, pages, tables
"""
