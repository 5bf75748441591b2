"""Shared by every program that trains, outside the pure core.

    run_programs, training_loop ─► progress, interrupts

`process_start` keeps the start short, `compilation_cache` lets jax keep its programs.
"""
