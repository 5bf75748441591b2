"""Cells whose state is a vector, or a few of them.

lstm, flax_rnns                 the LSTM of Keras; GRU and tanh RNN
identity_rnn, exprnn            RNNs whose matrix starts or stays orthogonal
minimal_rnns, lru, s5           minGRU, minLSTM, LRU, RG-LRU, S5, in which each unit has its decay
lmu, delay_line_mlp             the last inputs as Legendre polynomials; as they are, for an MLP
linear_recurrence               h' = a h + b, step by step and in parallel
"""
