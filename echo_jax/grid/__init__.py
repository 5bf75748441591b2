"""A grid of runs: each one a task, made into a row. It does not know what a run is.

tasks ─► those whose key no row has ─► executor ─► a row each, stored as it comes

task       the names of the parts
row_file   rows as JSON lines, each with its digest
executors  this process, one task at a time or several, the programs of the next one compiled
           while one trains; `cluster` has that of a Dask cluster
task_loop  the one loop over tasks: progress, interrupts, failures
running    how a grid is run: workers, what is said, what stops it
"""
