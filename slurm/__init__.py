"""Floor 2, the desk: the command line; plans stages and runs them."""
