"""The tutorial as pure functions: no clock, file, print, environment or global randomness.

    data ─► network (carry between batches) ─► training ─► evaluation, online

`chance` has the baselines that every score is compared with, `many_seeds` maps a run over seeds.
"""
