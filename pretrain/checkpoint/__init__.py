"""Checkpoints of a training stage: `checkpoints/step_00001000/` in Megatron's torch_dist format, whole or not there."""
