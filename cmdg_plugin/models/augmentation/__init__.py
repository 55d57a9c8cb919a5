"""Augmentation of whole batches on the device."""

from cmdg_plugin.models.augmentation.batch_augmentation import BatchAugmentation
from cmdg_plugin.models.augmentation.from_pipeline import split_pipeline

__all__ = ['BatchAugmentation', 'split_pipeline']
