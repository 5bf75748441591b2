"""The memory card of a cell: made, resumed, verified.

card_call        the calls echo_jax.card and cards, and what they return
make_card        the runs that a card lacks are made
verify_card      two runs of a card are made again
train_and_score  a run of a card: the cell of a name, a configuration and a seed ─► a row
kept_weights     the trained weights of a run as a file, and read back
"""
