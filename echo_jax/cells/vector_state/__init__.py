"""Cells whose state is a vector, or a few of them.

lstm, flax_rnns                 the LSTM of Keras; GRU, tanh RNN and identity RNN
exprnn                          an RNN whose recurrent matrix stays orthogonal
minimal_rnns, lru, s5           minGRU, minLSTM, LRU, RG-LRU, S5, in which each unit has its decay
lmu, delay_line_mlp             the last inputs as Legendre polynomials; as they are, for an MLP
linear_recurrence               h' = a h + b, step by step and in parallel
"""
