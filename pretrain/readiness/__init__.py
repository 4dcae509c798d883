"""Whether reinforcement learning can begin from a checkpoint."""
