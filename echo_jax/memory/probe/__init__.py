"""A probe of trained networks: bits that their states tell about earlier tokens.

probe_call       `echo_jax.probe`: states and tokens are checked and divided into three parts
checked_streams  the asked steps, their targets and what the last tokens tell by themselves; streams
                 that repeat or overlap, and tokens that are not those fed, are refused
heads            linear heads: whitened states, L2 by the second part, recalibrated
probe_result     bits by lag with their interval: table, figure, text
"""
