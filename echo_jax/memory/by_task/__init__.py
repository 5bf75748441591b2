"""Ask task: a readout of the outputs learns the targets that a task draws."""
