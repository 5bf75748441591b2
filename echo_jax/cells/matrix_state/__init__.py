"""Cells whose state is a matrix: a key writes a value to it, and a query reads it.

mamba2, gated_linear_attention   the matrix decays and gains an outer product
outer_product_recurrence         that recurrence, step by step and a chunk at a time
xlstm                            mLSTM, the same with a normaliser; sLSTM, four vectors, no matrix
delta_net, rwkv7                 the value that a key reads is corrected: DeltaNets and RWKV-7
key_value_cell                   what several share: keys and values, chunks of steps
"""
