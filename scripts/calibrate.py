"""`echo-jax calibrate` from a checkout."""

from echo_jax.__main__ import main

main("calibrate")
