"""The questions of the tutorial and its readers, each answered by a grid of runs.

catalogue, sweep_call ─► grid_point ─► study_call: run_grid_point, measures ─► result_rows
result_rows ─► study_tables ─► study_folder

`study_folder` reads and writes the files and the page, and finds the published answers.
"""
