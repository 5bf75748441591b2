"""What every page and figure shares; it knows nothing of runs, studies or cards.

page ─► html_page (templates/), markdown_page, text_tables
styles ─► charts
number_formats
"""
