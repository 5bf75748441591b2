"""`echo-jax cards` from a checkout."""

from echo_jax.__main__ import main

if __name__ == "__main__":
    main("cards")
