"""Contrast between image regions and captions in which an identity's captions are not each other's negatives."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.losses.captioned import have_captions, hide_others
from cmdg_plugin.models.memory import BankRows, check_bank, lookup_rows
from cmdg_plugin.models.utils import (
    check_fraction,
    check_integers,
    check_positive,
    check_sizes,
    full_precision,
    to_common_float,
)
from cmdg_plugin.registry import MODELS

_OWNER = 'multi_positive_caption_loss'


class LookAlikes(NamedTuple):
    """Captions of other people who resemble those in a batch of B images, for each of P parts.

    Attributes:
        text: Their features, (P, B, k, D).
        valid: Whether there is such a person, (P, B, k).
        in_batch: Whether a caption of the batch is among an image's `text`, (P, B, B): image, then caption.
    """

    text: Tensor
    valid: Tensor
    in_batch: Tensor


def find_look_alikes(neighbors: Tensor, bank: BankRows, labels: Tensor, image_index: Tensor) -> LookAlikes:
    """Look up the captions of the neighbors that a bridging stage found; those of a sample's own identity are left out.

    Args:
        neighbors: (P, B, k) rows of the whole bank, or (B, k), the same for all parts; -1 for none.
        bank: The rows that this process holds.
        labels: (B,) identities of the batch.
        image_index: (B,) its rows in the whole bank.

    Raises:
        ValueError: If shapes disagree.
    """
    rows = neighbors.expand(bank.text.shape[1], *neighbors.shape[-2:]).long()
    check_sizes(_OWNER, neighbors=(rows, 'PBk'), labels=(labels, 'B'), image_index=(image_index, 'B'))
    found = rows.clamp_min(0)
    text = torch.stack(
        [lookup_rows(bank.text[:, part], each.flatten(), bank.first_row) for part, each in enumerate(found)]
    ).unflatten(1, found.shape[1:])
    valid = (rows >= 0) & (bank.labels[found] != labels[:, None]) & have_captions(text)
    in_batch = ((found[..., None] == image_index) & valid[..., None]).any(dim=2)
    return LookAlikes(text, valid, in_batch)


def multi_positive_caption_loss(
    image_regions: Tensor,
    text_regions: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.1,
    look_alikes: LookAlikes | None = None,
    look_alike_ratio: float = 0.0,
) -> Tensor:
    """Symmetric InfoNCE of regions and captions inside the batch, where all captions of an identity are right.

    Features are L2-normalized. The target of an image spreads evenly over the captions of its identity in the batch,
    that of a caption over the images; mean of both directions, the batch and the regions. If all identities differ,
    it equals `caption_contrastive_loss`. Images without captions are left out as there.

    With look-alikes, each image's part is compared with the captions of its own ones as well, and these share
    `look_alike_ratio` of its target evenly; a caption of the batch that is among them counts once, as one of them.
    Without any the mass stays with the identity. From captions to images nothing changes.

    Source: Khosla et al., Supervised Contrastive Learning (the mean over positives outside the logarithm), between
    images and captions as in CMDG's L_cap; look-alikes as in its L_sid.

    Args:
        image_regions: (R, B, D) image features of R regions.
        text_regions: (R, B, D) caption features.
        labels: (B,) identities.
        temperature: Divisor of the cosine similarities, above 0.
        look_alikes: Captions from the memory bank, for the first P regions.
        look_alike_ratio: Their mass, in [0, 1].

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If shapes disagree, the temperature is not above 0, or the ratio is out of range.
    """
    check_sizes(_OWNER, image_regions=(image_regions, 'RBD'), text_regions=(text_regions, 'RBD'), labels=(labels, 'B'))
    check_integers(_OWNER, 'labels', labels)
    check_positive(_OWNER, temperature=temperature)
    check_fraction(_OWNER, look_alike_ratio=look_alike_ratio)
    with full_precision(image_regions.device):
        image, text = to_common_float(image_regions, text_regions)
        image = functional.normalize(image, dim=-1)
        captioned = have_captions(text)
        logits = hide_others(image @ functional.normalize(text, dim=-1).mT / temperature, captioned)
        same = (labels[:, None] == labels[None, :]) & captioned[:, :, None] & captioned[:, None, :]
        same = same.to(logits.dtype)
        # Symmetric, as rows of one identity are divided by one number: it serves both directions.
        target = same / same.sum(dim=-1, keepdim=True).clamp_min(1)
        to_text, to_image = torch.log_softmax(logits, dim=-1), torch.log_softmax(logits, dim=-2)
        total = (target * to_text).sum() + (target * to_image).sum()
        if look_alikes is not None and look_alike_ratio > 0:
            parts = len(look_alikes.text)
            look_alikes = look_alikes._replace(valid=look_alikes.valid & captioned[:parts, :, None])
            scores = _compare(image[:parts], look_alikes, temperature)
            total = total - (target * to_text)[:parts].sum()
            total = total + _with_look_alikes(logits[:parts], target[:parts], scores, look_alikes, look_alike_ratio)
        return -total / (2 * captioned.sum().clamp_min(1))


def _compare(image: Tensor, look_alikes: LookAlikes, temperature: float) -> Tensor:
    """Scores (P, B, k) of normalized images and their look-alikes' captions."""
    check_sizes(_OWNER, image_regions=(image, 'PBD'), look_alikes=(look_alikes.text, 'PBkD'))
    text = functional.normalize(look_alikes.text.to(image.dtype), dim=-1)
    return torch.einsum('pbd,pbkd->pbk', image, text) / temperature


def _with_look_alikes(logits: Tensor, target: Tensor, scores: Tensor, look_alikes: LookAlikes, ratio: float) -> Tensor:
    """Sum of the target's log-probabilities, from images to the captions of batch and look-alikes."""
    valid = look_alikes.valid
    count = valid.sum(dim=-1, keepdim=True)
    candidates = torch.cat(
        [logits.masked_fill(look_alikes.in_batch, -torch.inf), scores.masked_fill(~valid, -torch.inf)], dim=-1
    )
    log_sum = candidates.logsumexp(dim=-1, keepdim=True)
    mass = ratio * (count > 0).to(logits.dtype)
    own = (1 - mass) * target * (logits - log_sum)
    other = mass * valid / count.clamp_min(1) * (scores - log_sum)
    return own.sum() + other.sum()


@MODELS.register_module()
class MultiPositiveCaptionLoss(LossTerm):
    """Module form of `multi_positive_caption_loss`.

    Args:
        temperature: Divisor of the cosine similarities, above 0.
        look_alike_ratio: Mass of the captions of look-alikes in an image's target, in [0, 1]; above 0 it needs the
            inputs `neighbors`, `bank` and `image_index`.
    """

    needed_by: ClassVar = {'look_alike_ratio': 'neighbors', 'neighbors': 'bank', 'bank': 'image_index'}

    def __init__(self, temperature: float = 0.1, look_alike_ratio: float = 0.0) -> None:
        super().__init__()
        check_positive(type(self).__name__, temperature=temperature)
        check_fraction(type(self).__name__, look_alike_ratio=look_alike_ratio)
        self.temperature = temperature
        self.look_alike_ratio = look_alike_ratio

    def forward(
        self,
        image_regions: Tensor,
        text_regions: Tensor,
        labels: Tensor,
        neighbors: Tensor | None = None,
        bank: BankRows | None = None,
        image_index: Tensor | None = None,
    ) -> Tensor:
        """Return the loss.

        Args:
            image_regions: (R, B, D) image features; the parts come first.
            text_regions: (R, B, D) caption features.
            labels: (B,) identities.
            neighbors: Rows of the memory bank: (P, B, k) as `PartNeighborLoss` or (B, k) as `TextNeighborSearch` gives
                them; None where there are none yet.
            bank: The memory bank, which holds the captions of parts.
            image_index: (B,) each sample's own row in the whole bank.

        Raises:
            ValueError: If neighbors came without the others; and as `multi_positive_caption_loss`.
        """
        look_alikes = None
        if self.look_alike_ratio > 0 and neighbors is not None:
            if bank is None or image_index is None:
                raise ValueError(
                    f'{type(self).__name__}: neighbors come with bank and image_index; name them in inputs.'
                )
            look_alikes = find_look_alikes(neighbors, check_bank(type(self).__name__, bank), labels, image_index)
        return multi_positive_caption_loss(
            image_regions,
            text_regions,
            labels,
            temperature=self.temperature,
            look_alikes=look_alikes,
            look_alike_ratio=self.look_alike_ratio,
        )
