"""The memory benchmark: the time for which a cell remembers, under a fixed protocol.

    protocol, tasks ─► lag_training ─► parallel_runs ─► train_ladder ─► measure_cell: the raw rows

Beside the ladder `measure_cell` calls longer_streams, failure_cause, capacity, linear_capacity,
step_time and copy_task. `spans` says which runs succeeded.
"""
