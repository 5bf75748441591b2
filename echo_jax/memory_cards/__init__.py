"""Memory cards: what the memory benchmark measured of a cell, as a file. No module imports jax.

raw rows -> `summary`, `not_measured` -> `card_file.write` -> NAME.json, NAME.md, NAME.svg
NAME.json -> `card_file.read`: fits the `schema`, passes `validation`, has the `summary` of its rows

`card_text` describes a card in words and `card_figures` draws it; `compare_two` and `side_by_side`
compare cards; `card_page` is the page of one card, `all_cards_page` that of all in a folder.
"""
