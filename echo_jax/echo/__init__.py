"""The tutorial as pure functions: no clock, file, print, environment or global randomness.

    data ─► network, with its carry ─► training ─► evaluation, token_by_token

chance, target_place  the baselines of every score, and what can be known of a target
many_seeds            maps a run over seeds and devices
programs              compiles the mapped run, and loops over chunks of training

run      one training run on disk: trained, resumed, reported, used to predict
studies  the questions of the tutorial and of its readers, answered by grids of runs
"""
