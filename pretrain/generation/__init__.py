"""Text from a checkpoint: one small interface, and the engines behind it."""
