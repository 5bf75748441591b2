"""Shared by every page and figure; knows nothing of runs, studies or cards.

page ─► markdown_page, paper_tables
text_tables
styles ─► charts
number_formats
"""
