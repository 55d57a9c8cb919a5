"""Encoding passes over the whole training set, split over ranks, with a progress bar."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from mmengine.dataset import default_collate
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from cmdg_plugin.models import CMDGReID
from cmdg_plugin.progress import track
from cmdg_plugin.saying import warn


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


def plain_model(model: torch.nn.Module) -> CMDGReID:
    """Return the model inside a distributed wrapper, or the model itself."""
    return cast(CMDGReID, model.module if is_model_wrapper(model) else model)


def encode_images(model: Any, dataset: Any, options: EncodingOptions, kept_rows: slice | None = None) -> Tensor:
    """Encode every image of a dataset once.

    Args:
        model: Has `encode_regions(batch) -> (R, B, D)`.
        dataset: Has `with_pipeline`; N images.
        options: How to read them.
        kept_rows: Images whose features this rank keeps; None for all, which the ranks then encode together.

    Returns:
        Region features, (N, R, D) on every rank, or those of the kept rows.
    """

    def encode(batch: dict[str, Any]) -> Tensor:
        return model.encode_regions(batch).transpose(0, 1)

    rows = range(len(dataset))[kept_rows or slice(None)]
    return encode_rows(model, encode, dataset, options, rows, together=kept_rows is None)


@torch.no_grad()
def encode_rows(
    model: Any,
    encode: Callable[[dict[str, Any]], Tensor],
    dataset: Any,
    options: EncodingOptions,
    rows: Sequence[int],
    together: bool = True,
) -> Tensor:
    """Encode some images of a dataset once.

    Args:
        model: The model, which is in evaluation mode meanwhile.
        encode: Turns a batch, as the dataloader gives it, into its features (B, ...).
        dataset: Has `with_pipeline`.
        options: How to read them.
        rows: Positions of n images in the dataset, at least one for every rank.
        together: Whether all ranks share the work; else each encodes its own rows.

    Returns:
        (n, ...) on every rank.
    """
    places = _strided(len(rows)) if together else range(len(rows))
    loader = DataLoader(
        Subset(dataset.with_pipeline(options.pipeline), [rows[place] for place in places]),
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        collate_fn=default_collate,
    )
    was_training = model.training
    model.eval()
    features = torch.cat([encode(batch).float() for batch in track(loader, 'Encoding images')])
    model.train(was_training)
    return _put_together(features, places, len(rows)) if together else features


@torch.no_grad()
def encode_captions(
    model: Any, captions: Sequence[Sequence[str]], batch_size: int = 256, kept_rows: slice | None = None
) -> Tensor:
    """Encode the captions of every image once; sentences that occur often are encoded once in all.

    Args:
        model: Has `encode_sentences(list of str) -> ((B, D), number cut)`.
        captions: N tuples of R sentences in region order.
        batch_size: Sentences encoded at a time.
        kept_rows: Images whose features this rank keeps; None for all, which the ranks then encode together.

    Returns:
        Caption features, (N, R, D) on every rank, or those of the kept rows; zeros where a caption is empty.
    """
    captions = captions if kept_rows is None else captions[kept_rows]
    # Sorted by length, so that a batch is as long as its sentences; the order is the same on every rank.
    sentences = sorted({sentence for row in captions for sentence in row}, key=lambda text: (len(text), text))
    rows = _strided(len(sentences)) if kept_rows is None else range(len(sentences))
    encoded, num_cut = [], 0
    for start in track(range(0, len(rows), batch_size), 'Encoding captions'):
        features, cut = model.encode_sentences([sentences[row] for row in rows[start : start + batch_size]])
        encoded.append(features.float())
        num_cut += cut
    if num_cut:
        warn(f'{num_cut} of {len(rows)} sentences were longer than the text tower reads and were cut at their end.')
    features = torch.cat(encoded)
    if kept_rows is None:
        features = _put_together(features, rows, len(sentences))
    features[[not sentence.strip() for sentence in sentences]] = 0
    place = {sentence: position for position, sentence in enumerate(sentences)}
    index = torch.tensor([[place[sentence] for sentence in row] for row in captions], device=features.device)
    return features[index]


def _strided(total: int) -> range:
    """Rows that this rank encodes where all ranks encode all of them."""
    return range(get_rank(), total, get_world_size())


def _put_together(mine: Tensor, rows: range, total: int) -> Tensor:
    """Put the (n, ...) rows of every rank in their places of one (total, ...) tensor that all ranks share."""
    if get_world_size() == 1:
        return mine
    everything = mine.new_zeros(total, *mine.shape[1:])
    everything[torch.tensor(rows, device=mine.device)] = mine
    all_reduce(everything)
    return everything
