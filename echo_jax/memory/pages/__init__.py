"""Show cards, as text, figures, pages and tables. Imports no jax.

table          cards ─► their table, as text too, and tidy rows
curve_figures  the two curves of a card, and the curves of several cards
face_picture   what is left of a face that a network has read
explore_page   the page on which cards are explored
card_pages     the page and figure of a card; a folder of cards ─► its page, figures and tables
"""
