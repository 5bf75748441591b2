"""Memory cards: what the memory benchmark measured of a cell, as a file. No module imports jax.

raw rows -> `summary` -> `card_file.make`, `write` -> NAME.json, NAME.md, NAME.svg
NAME.json -> `card_file.read`: fits the `schema`, passes `validation`, has the `summary` of its rows

`card_text` describes a card in words, `card_figures` draws it, `compare_two` compares two cards,
`card_page` is the page of one card, and `all_cards_page` that of all cards in a folder.
"""
