"""Show cards. No jax.

told_apart      which cards are compared, and which of them differ by their seeds
table           cards ─► their table, as text too, and tidy rows
built_in_cards  the cards that come with the package
comparison      two cards as a sentence with p
figures         the two curves of a card, and the curves of several cards
card_pages      the page and figure of a card; a folder of cards ─► its page, figures and tables
"""
