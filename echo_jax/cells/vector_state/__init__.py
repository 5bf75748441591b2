"""Cells whose state is a vector, or a few of them.

lstm                            the LSTM of Keras, also with the chrono initialisation
slstm                           the sLSTM, with an exponential input gate: four vectors
flax_rnns                       GRU, tanh RNN and identity RNN
exprnn                          an RNN whose recurrent matrix stays orthogonal
minimal_rnns, lru, s5           minGRU, minLSTM, LRU, RG-LRU, S5: each number of the state decays
                                by a factor
lmu                             the LMU, which holds the last inputs as Legendre polynomials
delay_line_mlp                  an MLP on the last inputs
linear_recurrence               h' = a h + b, step by step and in parallel
"""
