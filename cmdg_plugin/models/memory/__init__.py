"""Memory over the training images."""

from cmdg_plugin.models.memory.caption_memory_bank import CaptionMemoryBank, SearchedRows
from cmdg_plugin.models.memory.shards import lookup_rows, own_rows

__all__ = ['CaptionMemoryBank', 'SearchedRows', 'lookup_rows', 'own_rows']
