"""The measure: how many bits the state of a recurrent cell tells of earlier tokens.

protocol           all numbers of the measure, one value that is handed in
questions          what differs between the questions: by lag, by key, of a task
lag_measurement       a question of the state: data, network, loss and score
key_measurement,
task_measurement      questions of the outputs: pairs at each number of them; a task
torch_measurement     the questions of layers in PyTorch
learning           how the network of any question learns, and is scored by steps of one stream
recalibration      one factor a head, fitted on answers that are not scored
rows               the answers of a run; reading is its answer about a picture
card_contents      rows ─► bits ─► the card of a cell; a folder of files

card   cards are made, resumed, verified; the calls echo_jax.card and cards
probe  echo_jax.probe: the bits in the states of a network that is already trained
tasks  the built-in tasks; task_measurement says what a task is
pages  the text, figures, pages and tables of cards

From `echo` it uses data, network, loss, training, chance, and the loop over chunks of programs.
"""
