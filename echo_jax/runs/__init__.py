"""One run on disk: trained, checkpointed, resumed, explained, and used to predict."""
