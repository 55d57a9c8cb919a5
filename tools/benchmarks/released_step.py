"""The bridging step as the authors of the released recipe run it, written from its description, to compare with.

The image tower twice, the batch's captions and prompts through the text tower at all 77 tokens, a memory of Python
lists that is stacked anew, distances under autograd and full sorts.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses import (
    batch_hard_triplet_loss,
    caption_contrastive_loss,
    distribution_alignment_loss,
)

NEIGHBORS, SCALE = 10, 0.02


@dataclass
class Setup:
    """What both steps work on.

    The released recipe's memory is `image_list` and `text_list`, an entry (P, D) per training image.
    """

    model: Any
    optimizer: OptimWrapper
    batch: dict[str, Any]
    index: Tensor
    labels: Tensor
    sentences: list[list[str]]
    image_list: list[Tensor] = field(default_factory=list)
    text_list: list[Tensor] = field(default_factory=list)


def encode_full_length(setup: Setup, sentences: list[str]) -> Tensor:
    """Encode sentences at all 77 tokens."""
    backbone = setup.model.backbone
    return backbone.encode_text(backbone.tokenizer(sentences, backbone.context_length).to(setup.index.device))


def encode_captions(setup: Setup) -> Tensor:
    """Encode the four captions of each image of the batch, (4, B, D)."""
    return torch.stack([encode_full_length(setup, sentences) for sentences in setup.sentences])


def encode_prompts(setup: Setup) -> Tensor:
    """Encode a prompt for each image of the batch, (B, D)."""
    return encode_full_length(setup, ['A photo of a X X X X person.'] * len(setup.index))


def blend_one_by_one(entries: Any, index: Tensor, features: Tensor) -> None:
    """Update rows of a memory, a tensor (N, P, D) or a list, by features (P, B, D) in a loop."""
    for position, row in enumerate(index.tolist()):
        entries[row] = 0.7 * entries[row] + 0.3 * features[:, position].detach().float()


def stacked_memory(setup: Setup, parts: Tensor, texts: Tensor) -> Tensor:
    """Update the lists in a loop and stack them; returns the image side, (N, P, D)."""
    for entries, features in ((setup.image_list, parts), (setup.text_list, texts)):
        blend_one_by_one(entries, setup.index, features)
    torch.stack(setup.text_list)
    return torch.stack(setup.image_list)


def sorted_part_loss(parts: Tensor, bank: Tensor, index: Tensor, identities: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the part loss by whole sorts.

    Args:
        parts: Features of the batch, (P, B, D).
        bank: Entries of all images, (N, P, D).
        index: The batch's rows of it, (B,).
        identities: Of all images, (N,).

    Returns:
        The loss, and the identities of the neighbors, (B, P * k).
    """
    losses, found = [], []
    for part, features in enumerate(parts.float()):
        entries = bank[:, part]
        squares = features.square().sum(1, keepdim=True) + entries.square().sum(1)
        distance = torch.addmm(squares, features, entries.T, alpha=-2)
        distance = distance.scatter(1, index[:, None], torch.inf)
        nearest, order = distance.sort(dim=1)
        weights = torch.exp(-SCALE * nearest)
        losses.append(-torch.log(weights[:, :NEIGHBORS].sum(1) / weights.sum(1)).mean())
        found.append(identities[order[:, :NEIGHBORS]])
    return torch.stack(losses).mean(), torch.cat(found, dim=1)


def softened_identity_loss(logits: Tensor, labels: Tensor, neighbor_labels: Tensor) -> Tensor:
    """Compute half a smoothed cross-entropy and half one with the neighbors' identities in the targets."""
    histogram = functional.one_hot(neighbor_labels, logits.shape[1]).float().mean(dim=1)
    soft = 0.5 * functional.one_hot(labels, logits.shape[1]) + 0.5 * histogram
    smoothed = functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)
    return 0.5 * smoothed + 0.5 * functional.cross_entropy(logits.float(), soft)


def released_loss(setup: Setup) -> Tensor:
    """Run the released recipe up to its loss."""
    model = setup.model
    images = model.data_preprocessor(setup.batch)['inputs']
    features = model.backbone.encode_image(images)
    regions = model.backbone.encode_image(images).shared_regions
    captions, _ = encode_captions(setup).float(), encode_prompts(setup)
    bank = stacked_memory(setup, regions[:3], captions[:3])
    part, neighbor_labels = sorted_part_loss(regions[:3], bank, setup.index, model.images.identities)
    shared = features.shared_regions[3]
    logits = model.head(features.width_regions[3], shared)[0]
    identity = softened_identity_loss(logits, setup.labels, neighbor_labels)
    prompt = functional.cross_entropy((shared @ model.stages['bridging'].prompt_features.T).float(), setup.labels)
    return (
        2.5 * (1.5 * identity + batch_hard_triplet_loss(shared, setup.labels))
        + 1.5 * caption_contrastive_loss(regions, captions)
        + 0.8 * prompt
        + 0.8 * part
        + distribution_alignment_loss(shared, captions[3])
    )
