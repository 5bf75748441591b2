"""Make, resume and verify the memory card of a cell.

card_call        the calls echo_jax.card and cards, and what they return
make_card        makes the runs that a card lacks
verify_card      makes two runs of a card again
train_and_score  a run of a card: the cell of a name, a configuration and a seed ─► a row
kept_weights     writes the trained weights of a run to a file, and reads them
"""
