"""Cells whose state is a matrix, to which a key writes a value, and from which a query reads.

mamba2, gated_linear_attention   the matrix decays and gains an outer product
mlstm                            the mLSTM, which also has a normaliser
delta_net, rwkv7                 the value that a key reads is corrected: DeltaNets and RWKV-7
key_value_cell                   the bases of these cells: keys and values, outer products
chunks                           the loop over chunks of steps, and the parts of a chunk
"""
