"""What the memory benchmark found, as files: written, validated, compared and drawn."""
