"""Shared by every page and figure; knows nothing of runs, studies or cards.

text_tables    a table, and its text, CSV and LaTeX
markdown       what a page is made of
section        heading, answer, figure, tables and notes, in every form
page           sections ─► a folder with README.md, figures/ and tables/
styles         colours, sizes, files of figures; charts and line_names draw
number_formats
"""
