"""Shared by every program that trains, outside the pure core.

    compiled_programs, training_loop ─► progress, interrupts

`process_start` keeps the start short, `stopwatch` times the parts, `compilation_cache` keeps
compiled programs on disk.
"""
