"""A short run of GRPO from a checkpoint, to see whether it learns."""
