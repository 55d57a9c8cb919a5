"""Batches of identities that look alike."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.dist import broadcast
from torch import Tensor
from torch.utils.data import Dataset

from cmdg_plugin.datasets.samplers.identity_sampler import IdentitySampler, count_earlier
from cmdg_plugin.datasets.samplers.nearest_identities import nearest_identities
from cmdg_plugin.registry import DATA_SAMPLERS
from cmdg_plugin.saying import warn

_TEXTS = ('captions', 'prompts')


class IdentityEncoding(Protocol):
    """What the engine offers a sampler before an epoch: features of the model as it is then, the same on all ranks."""

    def retrieval_features(self, positions: Sequence[int]) -> Tensor:
        """Encode training images without augmentation, (n, F)."""

    def identity_features(self, source: str) -> Tensor:
        """Features of all identities, (C, D): of their `prompts`, or the means of their `captions`."""


@DATA_SAMPLERS.register_module()
class HardIdentitySampler(IdentitySampler):
    """Batches of a random identity and those that look most like it, `num_instances` images each.

    Before an epoch, `prepare` has one random image of every identity encoded; the distance of two identities is that of
    these features, plus `text_weight` times that of their captions or prompts (see `nearest_identities`). Anchors come
    in random order, and each gives a batch: itself and its nearest identities. An epoch has as many batches as there
    are groups of images for, or as `num_draws` allows; what resembles many is drawn more often than others.

    An identity's images are dealt into groups in turns over its cameras, the camera with most images first; drawn
    again, it gives another group, as long as there is one. Identities with one image are left out; the images of those
    with fewer than `num_instances` are repeated. All depends on `seed`, epoch and features alone, and all ranks compose
    the same batches, of which each gives its slice.

    Source: DSM-CLIP, hard sample mining.

    Args:
        dataset: Anything with `identities` (N,), and `cameras` (N,) and `domains` (N,) where they are known.
        batch_size: Images of a batch on one rank.
        num_instances: Images of one identity in a batch (K).
        seed: Seed of the order; `None` draws one and shares it over the ranks.
        text: `captions` or `prompts`, whose distances are added; None for images alone.
        text_weight: Factor on their distance (lambda), at least 0; 0 is images alone.
        num_draws: Identities drawn in an epoch, over all ranks; None for as many as there are groups of images.
        across_domains: Whether identities of different domains may share a batch.
        **others: Further arguments of `IdentitySampler`.

    Raises:
        TypeError: If the dataset has no `identities`.
        ValueError: If a setting is out of range, or there are too few identities for a batch.
    """

    _drawn_from = 'identities with two images or more'

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        num_instances: int = 4,
        seed: int | None = 0,
        *,
        text: str | None = None,
        text_weight: float = 1.0,
        num_draws: int | None = None,
        across_domains: bool = True,
        **others: Any,
    ) -> None:
        if text not in (None, *_TEXTS):
            raise ValueError(f'expected text to be None, {" or ".join(map(repr, _TEXTS))}, got {text!r}.')
        if not 0 <= text_weight < float('inf'):
            raise ValueError(f'text_weight must be a finite number of at least 0, got {text_weight}.')
        super().__init__(dataset, batch_size, num_instances, seed, **others)
        self.text = text if text_weight else None
        self.text_weight = text_weight
        rows, cameras = self._by_identity, getattr(dataset, 'cameras', None)
        self._cameras = np.zeros_like(rows) if cameras is None else np.asarray(cameras)[rows]
        self._domains = None if across_domains else self._domains_of_identities(dataset)
        self.num_batches = self._plan_batches(num_draws)
        self._drawn = np.empty((0, 0), int)
        self._drawn_for: int | None = None

    def prepare(self, epoch: int, encoding: IdentityEncoding) -> None:
        """Compose the batches of an epoch.

        Args:
            epoch: The epoch, as `set_epoch` will be told it.
            encoding: Gives the features to compare.
        """
        rng = np.random.default_rng((self.seed, epoch, 1))
        one_each = self._by_identity[self._starts + rng.integers(self._counts)]
        image = encoding.retrieval_features(one_each.tolist())
        identities = torch.as_tensor(self._identities, device=image.device)
        text = None if self.text is None else encoding.identity_features(self.text).to(image.device)[identities]
        self._drawn = self._compose(image, text, rng)
        self._drawn_for = epoch

    def _compose(self, image: Tensor, text: Tensor | None, rng: np.random.Generator) -> np.ndarray:
        """Compose an epoch's batches of identities, (batches, identities of all ranks)."""
        rounds = -(-self.num_batches // len(self._identities))
        anchors = np.concatenate([rng.permutation(len(self._identities)) for _ in range(rounds)])[: self.num_batches]
        nearest = self._nearest(image, text, anchors, self._identities_per_batch - 1)
        # Mixed, so that no rank has all the nearest.
        return rng.permuted(np.column_stack([anchors, nearest]), axis=1)

    def _nearest(self, image: Tensor, text: Tensor | None, rows: np.ndarray, num_neighbors: int) -> np.ndarray:
        nearest = nearest_identities(
            image,
            torch.as_tensor(rows, device=image.device),
            num_neighbors,
            text=text,
            text_weight=self.text_weight,
            domains=None if self._domains is None else torch.as_tensor(self._domains, device=image.device),
        )
        # Ranks of different hardware may round differently, but all must compose the same batches.
        broadcast(nearest)
        return nearest.cpu().numpy()

    def _plan_batches(self, num_draws: int | None) -> int:
        width = self._identities_per_batch
        if num_draws is None:
            return max(int(self._groups.sum()) // width, 1)
        if num_draws < width:
            raise ValueError(f'num_draws is {num_draws}, but a batch alone holds {width} identities; draw more.')
        return num_draws // width

    def _usable_images(self, identities: np.ndarray) -> np.ndarray:
        _, owner, counts = np.unique(identities, return_inverse=True, return_counts=True)
        alone = int((counts == 1).sum())
        if alone:
            warn(f'{alone:,} of {len(counts):,} identities have one image only and are left out of the batches.')
        return np.flatnonzero(counts[owner] > 1)

    def _domains_of_identities(self, dataset: Dataset) -> np.ndarray:
        domains = getattr(dataset, 'domains', None)
        if domains is None:
            raise ValueError(f'across_domains=False takes a dataset with `domains`; {type(dataset).__name__} has none.')
        of_identities = np.asarray(domains)[self._by_identity[self._starts]]
        numbers, sizes = np.unique(of_identities, return_counts=True)
        if sizes.min() < self._identities_per_batch:
            raise ValueError(
                f'a batch holds {self._identities_per_batch} identities of one domain, but domain '
                f'{numbers[sizes.argmin()]} has {sizes.min()} with two images or more; lower batch_size, or let '
                'domains mix with across_domains=True.'
            )
        return of_identities

    def _shuffle_images(self, rng: np.random.Generator) -> np.ndarray:
        """Order each identity's images by turns over its cameras, the camera with most images first in every turn."""
        owner = np.repeat(np.arange(len(self._counts)), self._counts)
        # A tie between cameras is broken at random, anew for each identity.
        _, place, counts = np.unique(np.stack([owner, self._cameras]), axis=1, return_inverse=True, return_counts=True)
        place = place.ravel()
        order = np.lexsort((rng.random(len(owner)), place))
        turn = np.empty_like(order)
        turn[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        tie = rng.random(len(counts))
        return self._by_identity[np.lexsort((tie[place], -counts[place], turn, owner))]

    def _draw_identities(self, rng: np.random.Generator) -> np.ndarray:
        if self._drawn_for != self.epoch:
            raise RuntimeError(
                f'{type(self).__name__} was prepared for epoch {self._drawn_for} and is asked for epoch {self.epoch}: '
                'call prepare(epoch, encoding) first, as StagePreparationHook does for the stage that it is given in '
                'custom_hooks.'
            )
        return self._drawn

    def _choose_groups(self, identities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Begin with a random group of each identity, and go on in a circle."""
        return (count_earlier(identities) + rng.integers(self._groups)[identities]) % self._groups[identities]
