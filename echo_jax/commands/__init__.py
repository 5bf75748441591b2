"""The commands: flags, one call, and what is printed."""
