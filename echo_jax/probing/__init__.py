"""Probe trained networks: how many bits their states tell about earlier tokens.

probe_call       `echo_jax.probe`: checks states and tokens, and divides the streams into three
                 parts
checked_streams  the asked steps, their targets, and what the last tokens tell without states;
                 refuses streams that repeat or overlap, and tokens that were not fed
heads            linear heads: states are whitened; the second part chooses L2 and recalibrates
probe_result     bits by lag with their interval: table, figure, text
"""
