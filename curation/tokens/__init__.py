"""Documents to token ids in Megatron's files."""
