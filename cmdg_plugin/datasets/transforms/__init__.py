"""Image transforms: those that neither mmcv nor mmpretrain has, and the reading of image files.

Importing mmcv's registers them with MMEngine, so that configs name `RandomApply` and others without a prefix.
"""

import mmcv.transforms  # noqa: F401  (registers)

from cmdg_plugin.datasets.transforms.aug_mix import AugMix
from cmdg_plugin.datasets.transforms.loading import LoadImageFromFile, read_our_way

__all__ = ['AugMix', 'LoadImageFromFile', 'read_our_way']
