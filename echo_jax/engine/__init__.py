"""What every program that runs for a while shares: it knows no network, no study and no card.

tasks ─► those whose key no row has ─► executor ─► a row each, stored as it comes

grid      tasks, the executor of this process, the one loop over tasks
cluster   the executor that is a Dask cluster
process   the start and the end of a process; what Ctrl-C does
progress  a bar, or plain lines
"""
