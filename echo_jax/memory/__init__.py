"""Measure how many bits the state of a recurrent cell tells about earlier tokens.

protocol         all numbers of the measure, as one value that the functions take
questions        what differs between the questions: by lag, by key, of a task
lag_measurement  the question that reads the state: its data, network, loss and score

key_measurement,
task_measurement   the questions that read the outputs: pairs of a key and a value; a task

torch_measurement  the same questions for layers in PyTorch
learning           trains the network of any question, and scores it by single steps
recalibration      fits one factor for each head, on answers that are not scored
rows, reading      the answers of a run; the answers from which a picture is drawn
bits               the bits of a run's answers, and the bits of several seeds
card_contents      rows ─► bits ─► the card of a cell, and the files in its folder

card   makes, resumes and verifies cards; the calls echo_jax.card and cards
probe  echo_jax.probe: the bits in the states of a network that is already trained
tasks  the built-in tasks; task_measurement says what a task is
pages  the text, figures, pages and tables of cards

`echo_jax.echo` provides the random tokens, the network, the loss, the updates, the n-grams and the
loop over chunks of updates.
"""
