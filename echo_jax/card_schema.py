"""What a card is made of, field by field: a declaration, what checks it, and its tables."""
