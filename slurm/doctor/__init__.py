"""Is this cluster what its page says? Asked from the login node, before the first job waits in the queue."""
