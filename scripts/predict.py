"""`echo-jax predict` from a checkout."""

from echo_jax.__main__ import main

main("predict")
