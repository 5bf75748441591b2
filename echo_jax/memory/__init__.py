"""Measure how many bits the state of a recurrent cell tells about earlier tokens.

protocol         all numbers of the measure, as one value that the functions take
question         what every question has: its rows, its bits, its words
by_lag           the question that reads the state: `lag_rows_and_bits`, and in `lag_measurement`
                 its data, network, loss and score
by_key, by_task  the questions that read the outputs: pairs of a key and a value; a task
all_questions    the list of the questions
measurement      trains the network of any question, and scores it by single steps
readout_measurement   the same for the questions that read the outputs
torch_measurement     the same questions for layers in PyTorch
face_answers     the answers of a run from which a face is drawn
card_contents    rows ─► bits ─► the card of a cell, and the files in its folder

card        makes, resumes and verifies cards; the calls echo_jax.card and cards
comparison  which cards may be compared, and the sentences and anchors that compare them
tasks       the built-in tasks; `by_task.checked_task` says what a task is
pages       the text, figures, pages and tables of cards

`echo_jax.learner` provides the random tokens, the network, the loss, the updates and the
recalibration.
"""
