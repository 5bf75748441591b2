"""What every figure and page shares: styles, number formats, tables, templates."""
