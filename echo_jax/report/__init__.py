"""Shared by every page and figure; knows nothing of runs, studies or cards.

page ─► markdown_page, text_page, paper_tables
text_tables ─► text_page
styles ─► charts
number_formats
"""
