"""Which identities look alike: distances of their features, a few rows at a time."""

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def nearest_identities(
    image: Tensor,
    rows: Tensor,
    num_neighbors: int,
    *,
    text: Tensor | None = None,
    text_weight: float = 1.0,
    domains: Tensor | None = None,
    chunk_size: int = 1024,
) -> Tensor:
    """Find the nearest identities of some identities.

    The distance of two identities is the Euclidean distance of their image features plus `text_weight` times that of
    their text features, all L2-normalized. No identity is its own neighbor. At most `chunk_size` rows of the distance
    matrix exist at a time.

    Source: DSM-CLIP, hard sample mining by image and prompt features.

    Args:
        image: (C, F) image feature of every identity.
        rows: (A,) identities whose neighbors are asked for.
        num_neighbors: k, at most C - 1.
        text: (C, D) text feature of every identity; None for image features alone.
        text_weight: Factor on the distance of text features.
        domains: (C,) domain of every identity, to look for neighbors in the own domain only; None for all domains.
        chunk_size: Rows compared at a time.

    Returns:
        (A, k) identities, nearest first; -1 where the own domain has fewer.
    """
    image = functional.normalize(image, dim=1)
    text = None if text is None else functional.normalize(text, dim=1)
    found = []
    for chunk in rows.split(chunk_size):
        distances = torch.cdist(image[chunk], image)
        if text is not None:
            distances.add_(torch.cdist(text[chunk], text), alpha=text_weight)
        distances.scatter_(1, chunk[:, None], torch.inf)
        if domains is not None:
            distances.masked_fill_(domains[chunk, None] != domains, torch.inf)
        values, nearest = distances.topk(num_neighbors, largest=False)
        found.append(nearest.masked_fill(values.isinf(), -1))
    return torch.cat(found)
