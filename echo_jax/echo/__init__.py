"""The tutorial as pure functions: no clock, file, print, environment or global randomness.

    data ─► training, which carries the state and cuts the gradient ─► evaluation, token_by_token

The network, its loss and one update are in `learner`, and the cells in `cells`.

chance, target_place  the baselines of every score, and what can be known of a target
many_seeds            maps a run over seeds and devices
compiled_programs     compiles the mapped run, and trains chunk by chunk; it alone has a clock

run      one training run on disk: trained, resumed, reported, used to predict
studies  the questions of the tutorial and of its readers, answered by grids of runs
"""
