"""The questions of the tutorial and its readers, each answered by a grid of runs.

catalogue, sweep ─► grid_point ─► run_study: run_grid_point, measures ─► result_rows
result_rows ─► row_scores ─► study_tables, study_figures ─► study_pages

`study_folder` has the files, `published_answers` what comes with the package.
"""
