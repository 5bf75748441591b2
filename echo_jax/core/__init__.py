"""The tutorial as pure functions: no clock, file, print, environment or global randomness.

    data ─► network, with its carry ─► training ─► evaluation, token_by_token

`chance` has the baselines of every score; `many_seeds` maps a run over seeds and devices.
"""
