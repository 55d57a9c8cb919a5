"""Image transforms; those of mmcv are made available by importing them, so that configs name them without a prefix."""

import mmcv.transforms  # noqa: F401  (registers LoadImageFromFile and others with MMEngine)

__all__: list[str] = []
