"""One feature for each identity: of its prompt, or the mean of its captions or images."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.engine.encoding import EncodingOptions, encode_captions, encode_prompts, encode_rows
from cmdg_plugin.regions import REGIONS

_GLOBAL = REGIONS.index('global')


def encode_identities(model: Any, dataset: Any, source: str, options: EncodingOptions) -> Tensor:
    """Encode all identities, all ranks together.

    Args:
        model: The model.
        dataset: The training set.
        source: `prompts`; `captions` or `images` for the mean of the L2-normalized global features of an identity's
            captions or images, empty captions left out.
        options: How images are read.

    Returns:
        (C, D) on every rank.
    """
    if source == 'prompts':
        return encode_prompts(model)
    identities = torch.as_tensor(dataset.identities)
    if source == 'captions':
        sentences = [row[_GLOBAL] for row in dataset.captions]
        features = encode_captions(model, [(sentence,) for sentence in sentences])[:, 0]
        there = torch.tensor([bool(sentence.strip()) for sentence in sentences])
        return _mean_by_identity(features[there.to(features.device)], identities[there])

    def encode(batch: dict[str, Any]) -> Tensor:
        return model.encode_regions(batch)[_GLOBAL]

    return _mean_by_identity(encode_rows(model, encode, dataset, options, range(len(dataset))), identities)


def _mean_by_identity(features: Tensor, identities: Tensor) -> Tensor:
    # On the CPU, where sums come in one order, so that all ranks and all runs get the same bits.
    normalized = functional.normalize(features, dim=1).cpu()
    sums = normalized.new_zeros(int(identities.max()) + 1, normalized.shape[1], dtype=torch.float64)
    sums.index_add_(0, identities, normalized.double())
    return (sums / identities.bincount()[:, None]).to(features)


def check_source(source: str, owner: str, stage: str, dataset: Any, prompts_learned: bool) -> None:
    """Refuse features of identities that will not be there, before anything is trained.

    Args:
        source: Where they come from.
        owner: Who asks for them, for messages.
        stage: Name of the stage in which they are asked for.
        dataset: The training set.
        prompts_learned: Whether a stage before it learns prompts, or the weights may bring them.

    Raises:
        ValueError: If prompts are not learned before, or an identity has no caption.
    """
    if source == 'prompts' and not prompts_learned:
        raise ValueError(
            f"{owner} of stage '{stage}' compares identities by their prompts, which no stage has learned before it: "
            "run the stage 'prompt' first, start from its checkpoint with load_from, or take 'captions'."
        )
    if source == 'captions':
        bare = _without_caption(dataset.identities, dataset.captions)
        if bare:
            raise ValueError(
                f"{owner} of stage '{stage}' compares identities by their captions, but {bare:,} of "
                f'{dataset.num_identities:,} have none: caption their images, or leave those without captions out with '
                "on_missing='skip'."
            )


def _without_caption(identities: Sequence[int], captions: Sequence[Sequence[str]]) -> int:
    described = {int(person) for person, row in zip(identities, captions, strict=True) if row[_GLOBAL].strip()}
    return len({int(person) for person in identities} - described)
