"""The version of echo_jax."""

__version__ = "0.2.0.dev0"
