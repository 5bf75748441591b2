"""The questions of the tutorial and its readers, each answered by a grid of runs.

catalogue ─► sweep ─► records ─► study_tables, answers ─► study_pages
"""
