"""Memory cards: what the memory benchmark measured of a cell, as a file. No module imports jax.

raw rows -> `summary` -> `card_file.write` -> NAME.json, NAME.md, NAME.svg
NAME.json -> `card_file.read`: fits the `schema`, passes `validation`, has the `summary` of its rows

`card_text` describes a card in words; `card_page` and `card_figure` are its page and its figure.
`compare_two` compares cards. Of all cards of a folder `all_cards_table` makes tables,
`all_cards_figures` figures, `all_cards_findings` sentences, and `all_cards_page` the page.
"""
