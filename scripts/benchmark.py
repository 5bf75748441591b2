"""`echo-jax benchmark` from a checkout."""

from echo_jax.__main__ import main

main("benchmark")
