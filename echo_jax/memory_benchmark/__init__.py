"""The memory benchmark: the time for which a cell remembers, under a fixed protocol.

    protocol, tasks ─► training ─► parallel_runs ─► seed_climb ─► measure_cell: the raw rows

Beside the ladders `measure_cell` calls the modules of `measures`. `spans` says which runs passed,
and how far up a seed climbs.
"""
