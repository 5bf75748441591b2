"""Compare cards. Imports no jax.

card_names            how cards and their cells are called in tables and sentences
comparability         which cards may be compared
significance          which of them the seeds tell apart
built_in_cards        the cards that come with the package, and the cards in a folder
comparison_sentences  two cards in a sentence for a paper; a card beside built-in cards
"""
