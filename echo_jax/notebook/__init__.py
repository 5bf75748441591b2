"""The package in a notebook: `echo_jax.train`, `study` and `card`, whose results show themselves.

A call does what the command of its name does, with the same bits; a card on as many threads.
"""
