"""The user's own values: read from files (`reading`), and their tokens (`vocabulary`)."""
