"""`echo-jax train` from a checkout."""

from echo_jax.__main__ import main

main("train")
