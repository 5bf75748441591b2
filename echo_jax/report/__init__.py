"""Shared by every page and figure; knows nothing of runs, studies or cards.

page ─► markdown_page, text_tables
styles ─► charts
number_formats
"""
