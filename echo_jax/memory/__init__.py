"""The measure: how many bits the state of a recurrent cell tells of earlier tokens.

protocol           all numbers of the measure, one value that is handed in
questions          what differs by question: by lag, by key, of a task
lag_measurement       a question of the state: data, network, loss and score
key_measurement,
task_measurement      questions of the outputs: pairs at each number of them; a task
torch_measurement     the questions of layers in PyTorch
learning           how the network of any question learns, and is scored by steps of one stream
recalibration      one factor a head, fitted on answers that are not scored
rows               what a run answered; reading is its answer about a picture
card_contents      rows ─► bits ─► the card of a cell; a folder of files

card   cards are made, resumed, verified; the calls echo_jax.card and cards
probe  echo_jax.probe: the same of any network that is already trained
tasks  the built-in tasks; task_measurement says what a task is
pages  what is shown of cards: text, figures, pages, tables

From `echo` it uses data, network, loss, training, chance, and the loop over chunks of programs.
"""
