"""Encoding passes over the whole training set, split over ranks, with a progress bar."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dataset import default_collate
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from cmdg_plugin.progress import track


@dataclass(frozen=True)
class EncodingOptions:
    """How an encoding pass reads its images.

    Args:
        pipeline: Transforms without randomness.
        batch_size: Images encoded at a time.
        num_workers: Worker processes that read images.
    """

    pipeline: list[dict]
    batch_size: int
    num_workers: int


def plain_model(model: torch.nn.Module) -> Any:
    """Return the model inside a distributed wrapper, or the model itself."""
    return model.module if is_model_wrapper(model) else model


@torch.no_grad()
def encode_images(model: Any, dataset: Any, options: EncodingOptions) -> Tensor:
    """Encode every image of a dataset once.

    Args:
        model: Has `encode_regions(batch) -> (R, B, D)`.
        dataset: Has `with_pipeline`; N images.
        options: How to read them.

    Returns:
        Region features (N, R, D), the same on every rank.
    """
    rows = _rows_of_this_rank(len(dataset))
    loader = DataLoader(
        Subset(dataset.with_pipeline(options.pipeline), rows),
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        collate_fn=default_collate,
    )
    was_training = model.training
    model.eval()
    regions = _collect((model.encode_regions(batch) for batch in track(loader, 'Encoding images')), rows, len(dataset))
    model.train(was_training)
    return regions


@torch.no_grad()
def encode_captions(model: Any, captions: Sequence[Sequence[str]], batch_size: int = 256) -> Tensor:
    """Encode the captions of every image once; sentences that occur often are encoded once in all.

    Args:
        model: Has `encode_sentences(list of str) -> ((B, D), number cut)`.
        captions: N tuples of R sentences in region order.
        batch_size: Sentences encoded at a time.

    Returns:
        Caption features (N, R, D), the same on every rank.
    """
    sentences = sorted({sentence for row in captions for sentence in row}, key=lambda text: (len(text), text))
    rows = _rows_of_this_rank(len(sentences))
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    num_cut = 0

    def encode(batch: Sequence[int]) -> Tensor:
        nonlocal num_cut
        features, cut = model.encode_sentences([sentences[row] for row in batch])
        num_cut += cut
        return features

    features = _collect((encode(batch)[None] for batch in track(batches, 'Encoding captions')), rows, len(sentences))[
        :, 0
    ]
    if num_cut:
        print_log(
            f'{num_cut} of {len(rows)} sentences were longer than the text tower reads and were cut at their end.',
            logger='current',
            level=logging.WARNING,
        )
    place = {sentence: position for position, sentence in enumerate(sentences)}
    index = torch.tensor([[place[sentence] for sentence in row] for row in captions], device=features.device)
    return features[index]


def _rows_of_this_rank(total: int) -> range:
    return range(get_rank(), total, get_world_size())


def _collect(batches: Any, rows: range, total: int) -> Tensor:
    """Put (R, B, D) batches of this rank's rows in their places of one (total, R, D) tensor that all ranks share."""
    mine = torch.cat([batch.transpose(0, 1).float() for batch in batches])
    everything = mine.new_zeros(total, *mine.shape[1:])
    everything[torch.tensor(rows, device=mine.device)] = mine
    if get_world_size() > 1:
        all_reduce(everything)
    return everything
