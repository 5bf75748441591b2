"""The speed of training beside other libraries, and as its sizes grow.

learner       the job that all peers do, and the interface of a peer
numpy_lstm    the job by its definition, in NumPy
peers         the other peers: echo_jax, Flax, Keras, PyTorch
worker        a process of its own, on one core
race          peers train in turn, round by round; ratios and the table
scaling       time, memory and compilation of echo_jax against each size
"""
