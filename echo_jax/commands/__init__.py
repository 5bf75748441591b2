"""Define the commands: the flags of each, the call that it makes, and what it prints."""
