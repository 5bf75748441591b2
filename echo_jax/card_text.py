"""A memory card in words: the lines of one glance, and one page of Markdown. No jax."""
