"""Compare cards. Imports no jax.

card_names       how cards and their cells are called in tables and sentences
told_apart       the cards that may be compared, and which of them the seeds tell apart
built_in_cards   the cards that come with the package, and the cards in a folder
compared_cards   two cards in a sentence for a paper; a card beside built-in cards
"""
