"""Batches that hold nothing but positions in a dataset."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cmdg_plugin.datasets.reid_dataset import CaptionedReIDDataset
from cmdg_plugin.registry import DATASETS, FUNCTIONS


@DATASETS.register_module()
class SampleIndices(Dataset):
    """Positions of a dataset's images, for stages that work on features encoded before."""

    def __init__(self, dataset: CaptionedReIDDataset | Mapping[str, Any]) -> None:
        self.dataset = DATASETS.build(dict(dataset)) if isinstance(dataset, Mapping) else dataset

    @property
    def identities(self) -> np.ndarray:
        """Identity of every image, (N,)."""
        self.dataset.full_init()
        return self.dataset.identities

    @property
    def metainfo(self) -> dict:
        """Meta information of the dataset."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Index the dataset if that has not been done."""
        self.dataset.full_init()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> int:
        """Return the position itself."""
        return int(index)

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Return the positions of a batch, (B,)."""
        return torch.as_tensor(indices, dtype=torch.long)


@FUNCTIONS.register_module()
def collate_sample_indices(batch: Tensor | Sequence[int]) -> dict[str, Tensor]:
    """Name the positions that `SampleIndices` gives: `dict(image_index=(B,))`."""
    return {'image_index': torch.as_tensor(batch, dtype=torch.long)}
