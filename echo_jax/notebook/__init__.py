"""`echo_jax.study`, `card` and `cards`: calls whose results show themselves in a notebook."""
