"""Image transforms: those that neither mmcv nor mmpretrain has.

Importing mmcv's registers them with MMEngine, so that configs name `LoadImageFromFile` and others without a prefix.
"""

import mmcv.transforms  # noqa: F401  (registers)

from cmdg_plugin.datasets.transforms.aug_mix import AugMix

__all__ = ['AugMix']
