"""Whose pictures the training images are, and from where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class DataSizes:
    """How large training data and features are.

    Attributes:
        num_identities: C, identities in the training data.
        num_domains: Domains in the training data.
        num_samples: N, training images.
        num_elsewhere: Fewest images of other domains that an image has.
        num_paired: Identities with two images or more.
        width: W, width of the image tower's tokens.
        embed_dim: D, width of the space shared with texts.
    """

    num_identities: int
    num_domains: int
    num_samples: int
    num_elsewhere: int
    num_paired: int
    width: int
    embed_dim: int


class TrainingImages(NamedTuple):
    """Identities and domains of N training images of C identities.

    Attributes:
        identities: Identity of each image, (N,), 0..C-1.
        domains: Domain of each image, (N,), numbered from 0.
        identity_domains: Domain of each identity, (C,).
    """

    identities: Tensor
    domains: Tensor
    identity_domains: Tensor

    @classmethod
    def number(
        cls, identities: Sequence[int] | np.ndarray, domains: Sequence[int] | np.ndarray | None = None
    ) -> 'TrainingImages':
        """Check numbers as a dataset gives them.

        Args:
            identities: Identity of each image, (N,), numbered from 0 without gaps.
            domains: Domain of each image, (N,), numbered likewise; None for a single domain.

        Raises:
            ValueError: If they are not numbered so, or an identity stands in two domains.
        """
        labels = _numbered('Identities', identities)
        places = torch.zeros_like(labels) if domains is None else _numbered('Domains', domains)
        if len(labels) != len(places):
            raise ValueError(f'There are {len(labels)} identities of images, but {len(places)} domains of images.')
        home = torch.zeros(int(labels.max()) + 1, dtype=places.dtype).scatter_(0, labels, places)
        if not torch.equal(home[labels], places):
            raise ValueError('An identity stands in two domains; number the identities over all domains.')
        return cls(labels, places, home)

    def sizes(self, width: int, embed_dim: int) -> DataSizes:
        """Count what there is, beside the widths of the backbone's features."""
        return DataSizes(
            num_identities=len(self.identity_domains),
            num_domains=int(self.domains.max()) + 1,
            num_samples=len(self.identities),
            num_elsewhere=len(self.domains) - int(self.domains.bincount().max()),
            num_paired=int((self.identities.bincount() > 1).sum()),
            width=width,
            embed_dim=embed_dim,
        )


def _numbered(what: str, values: Sequence[int] | np.ndarray) -> Tensor:
    labels = torch.as_tensor(np.asarray(values))
    found = torch.unique(labels)
    if labels.ndim != 1 or not len(labels) or not torch.equal(found, torch.arange(len(found))):
        raise ValueError(f'{what} must be numbered from 0 without gaps, one for each training image.')
    return labels
