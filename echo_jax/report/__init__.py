"""Render pages and figures; nothing here knows of runs, studies or cards.

text_tables    a table, and its text, CSV, LaTeX and Markdown
section        heading, answer, figure, tables and notes, in every form
page           sections ─► a folder with README.md, figures/ and tables/; an interactive page
styles         colours, sizes, files of figures
charts         the figures themselves
number_formats percentages, decimals and rounding, as text and for JSON
"""
