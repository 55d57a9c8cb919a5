"""A stage prepared from one batch, where a run encodes all images or captions."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from cmdg_plugin.engine.encoding import encode_captions, encode_images, encode_rows, plain_model
from cmdg_plugin.engine.hooks.stage_preparation_hook import RunPreparation


@dataclass(frozen=True)
class SampledPreparation(RunPreparation):
    """Encodes one batch where a run encodes everything, and repeats it, so that memory is that of the run."""

    once: dict[str, float] = field(default_factory=dict)
    each_epoch: list[float] = field(default_factory=list)

    def image_features(self, rows: slice | None) -> Tensor:
        """Features of the training images, those of one batch again and again."""
        dataset = self.runner.train_loop.dataset
        total = len(range(len(dataset))[rows or slice(None)])
        few = min(total, self.options.batch_size)
        start = time.perf_counter()
        features = encode_images(plain_model(self.runner.model), dataset, self.options, slice(0, few))
        self.once['images'] = (time.perf_counter() - start) * _share(total, few, rows)
        return _repeat(features, total)

    def caption_features(self, rows: slice | None) -> Tensor:
        """Features of the captions, those of one batch of images again and again."""
        captions = self.runner.train_loop.dataset.captions[rows or slice(None)]
        few = min(len(captions), self.options.batch_size)
        different, sampled = (len({text for row in each for text in row}) for each in (captions, captions[:few]))
        start = time.perf_counter()
        features = encode_captions(plain_model(self.runner.model), captions[:few], kept_rows=slice(0, few))
        self.once['captions'] = (time.perf_counter() - start) * _share(different, sampled, rows)
        return _repeat(features, len(captions))

    def retrieval_features(self, positions: Any) -> Tensor:
        """Features of some training images, those of one batch again and again."""
        few = min(len(positions), self.options.batch_size)
        model, dataset = plain_model(self.runner.model), self.runner.train_loop.dataset
        start = time.perf_counter()
        features = encode_rows(model, model.encode_retrieval, dataset, self.options, positions[:few])
        self.each_epoch.append((time.perf_counter() - start) * len(positions) / few)
        return _repeat(features, len(positions))


def _share(total: int, few: int, rows: slice | None) -> float:
    """How many times the work of a few a rank has to do; without rows of its own it shares all of them."""
    return total / few / (get_world_size() if rows is None else 1)


def _repeat(features: Tensor, total: int) -> Tensor:
    return features[torch.arange(total, device=features.device) % len(features)]
