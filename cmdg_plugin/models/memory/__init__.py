"""Memory over the training images."""

from cmdg_plugin.models.memory.bank_rows import BankRows, check_bank
from cmdg_plugin.models.memory.caption_memory_bank import CaptionMemoryBank
from cmdg_plugin.models.memory.shards import lookup_rows, own_rows

__all__ = ['BankRows', 'CaptionMemoryBank', 'check_bank', 'lookup_rows', 'own_rows']
