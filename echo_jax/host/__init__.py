"""Shared by every program that trains, outside the pure core.

    compiled_programs, training_loop ─► progress, interrupts

`process_start` keeps the start short. `compilation_cache` lets jax keep compiled programs on disk,
`kept_programs` keeps those of a run so that they need no trace.
"""
