"""The package in a notebook: `echo_jax.train` and `echo_jax.study`; their results show themselves.

A call does what the command of its name does, with the same bits.
"""
