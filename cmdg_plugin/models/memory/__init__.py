"""Memory of the training images' features."""

from cmdg_plugin.models.memory.caption_memory_bank import CaptionMemoryBank

__all__ = ['CaptionMemoryBank']
