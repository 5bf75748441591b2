"""The memory benchmark: the time for which a cell remembers, under a fixed protocol.

    protocol, tasks ─► training ─► parallel_runs ─► seed_climb ─► measure_cell: the raw rows

Beside the ladders `measure_cell` calls longer_streams, failure_cause, capacity_rows, step_time and
copy_task. `spans` says which runs passed, and how far up a seed climbs.
"""
