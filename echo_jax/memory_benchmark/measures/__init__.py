"""Measures of a memory card beside its ladders.

capacity, capacity_rows   bits that heads for all lags read out of the state
linear_capacity           the past that a linear readout finds in the state
longer_streams            networks that passed a lag, on streams far longer than those of training
failure_cause             why the next lag was missed
step_time                 sizes, and microseconds a step
copy_task                 the copy-memory task, with a protocol of its own
"""
