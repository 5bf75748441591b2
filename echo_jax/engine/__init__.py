"""Run grids of tasks, show progress and end a process, for any kind of task.

tasks ─► tasks whose key no row has ─► executor ─► one row per task, stored as it comes

grid      tasks, the executor of this process, the one loop over tasks
cluster   the executor that is a Dask cluster
process   the start and the end of a process; what Ctrl-C, SIGTERM and SIGHUP do
progress  a progress bar, or plain lines
"""
