"""A stage prepared from a few batches, where a run encodes all images or captions."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from cmdg_plugin.engine.encoding import encode_captions, encode_images, encode_rows, plain_model
from cmdg_plugin.engine.hooks.stage_preparation_hook import RunPreparation

_SENTENCES = 256
"""Of a batch, as `encode_captions` takes them."""


@dataclass(frozen=True)
class SampledPreparation(RunPreparation):
    """Encodes a few batches where a run encodes everything, and repeats the first: memory is that of the run."""

    once: dict[str, float] = field(default_factory=dict)
    each_epoch: list[float] = field(default_factory=list)

    def image_features(self, rows: slice | None) -> Tensor:
        """Features of the training images, those of one batch again and again."""
        model, dataset = plain_model(self.runner.model), self.runner.train_loop.dataset
        total = len(range(len(dataset))[rows or slice(None)])

        def encode(number: int) -> Tensor:
            return encode_images(model, dataset, self.options, slice(0, number))

        features, self.once['images'] = self._measure(encode, self.options.batch_size, _own_part(total, rows))
        return _repeat(features, total)

    def caption_features(self, rows: slice | None) -> Tensor:
        """Features of the captions, those of one batch of images again and again."""
        model = plain_model(self.runner.model)
        captions = self.runner.train_loop.dataset.captions[rows or slice(None)]
        different = [(sentence,) for sentence in dict.fromkeys(sentence for row in captions for sentence in row)]

        def encode(number: int) -> Tensor:
            return encode_captions(model, different, _SENTENCES, slice(0, number))

        _, self.once['captions'] = self._measure(encode, _SENTENCES, _own_part(len(different), rows))
        few = slice(0, self.options.batch_size)
        return _repeat(encode_captions(model, captions, _SENTENCES, few), len(captions))

    def retrieval_features(self, positions: Any) -> Tensor:
        """Features of some training images, those of one batch again and again."""
        model, dataset = plain_model(self.runner.model), self.runner.train_loop.dataset

        def encode(number: int) -> Tensor:
            return encode_rows(model, model.encode_retrieval, dataset, self.options, positions[:number])

        # Here the ranks share what is encoded.
        features, seconds = self._measure(encode, self.options.batch_size, len(positions))
        self.each_epoch.append(seconds)
        return _repeat(features, len(positions))

    def _measure(self, encode: Callable[[int], Tensor], batch: int, total: int) -> tuple[Tensor, float]:
        """Encode one batch, and as many more as tell what each takes once workers and compilers have started.

        Args:
            encode: Encodes so many of the first.
            batch: How many are encoded at a time.
            total: How many this process encodes in a run.

        Returns:
            Features of one batch, and the seconds of all.
        """
        few, more = (min(total, number * batch) for number in (1, 1 + 2 * max(1, self.options.num_workers)))
        features, seconds = _timed(encode, few)
        if more > few:
            # Again, as the first time has started what starts once.
            shorter, longer = (_timed(encode, number)[1] for number in (few, more))
            seconds += max(0.0, longer - shorter) / (more - few) * (total - few)
        return features, seconds


def _timed(encode: Callable[[int], Tensor], number: int) -> tuple[Tensor, float]:
    start = time.perf_counter()
    features = encode(number)
    if features.is_cuda:
        torch.cuda.synchronize()
    return features, time.perf_counter() - start


def _own_part(total: int, rows: slice | None) -> int:
    """How many of them a rank encodes; without rows of its own it shares all with the others."""
    return total if rows is not None else -(-total // get_world_size())


def _repeat(features: Tensor, total: int) -> Tensor:
    return features[torch.arange(total, device=features.device) % len(features)]
