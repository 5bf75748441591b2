"""Measure how many bits the state of a recurrent cell tells about earlier tokens.

protocol         all numbers of the measure, as one value that the functions take
questions        what differs between the questions: by lag, by key, of a task
lag_measurement  the question that reads the state: its data, network, loss and score

key_measurement,
task_measurement   the questions that read the outputs: pairs of a key and a value; a task

torch_measurement  the same questions for layers in PyTorch
learning           trains the network of any question, and scores it by steps of one stream
recalibration      fits one factor for each head, on answers that are not scored
rows, reading      the answers of a run; its answers about a picture
bits               the bits of the answers of a run, and over the seeds of a card
card_contents      rows ─► bits ─► the card of a cell, and the files in its folder

card   makes, resumes and verifies cards; the calls echo_jax.card and cards
probe  echo_jax.probe: the bits in the states of a network that is already trained
tasks  the built-in tasks; task_measurement says what a task is
pages  the text, figures, pages and tables of cards

`echo_jax.echo` provides the data, network, loss, training, chance and the loop over chunks.
"""
