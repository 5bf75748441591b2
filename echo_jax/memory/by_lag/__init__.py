"""Ask by lag: heads read each earlier token of a random stream from the state."""
