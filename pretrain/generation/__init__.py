"""Text from a checkpoint: one small interface, the engines behind it, and the prompts that are put to them."""

from pretrain.generation.open import open_engine

__all__ = ["open_engine"]
