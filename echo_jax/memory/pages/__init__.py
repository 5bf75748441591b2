"""What is shown of cards. No jax.

table           cards ─► tidy rows, and the table of what the seeds tell apart, as text too
built_in_cards  the cards that come with the package
card_figure     a card's two curves; line_names writes names beside lines
card_pages      card.md, card.svg
all_cards       a folder of cards ─► its page, figures (all_cards_figures) and tables
"""
