"""The questions of the tutorial and its readers, each answered by a grid of runs.

catalogue ─► sweep ─► point_run, measures ─► result_rows
result_rows ─► scores ─► study_tables, study_figures ─► study_pages
"""
