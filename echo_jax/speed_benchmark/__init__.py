"""How fast training is, beside other libraries and as its sizes grow."""
