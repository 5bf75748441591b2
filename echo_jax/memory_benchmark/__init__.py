"""How long a cell remembers, measured under a fixed protocol.

protocol, tasks ─► train_ladder ─► spans, capacity, step_time
"""
