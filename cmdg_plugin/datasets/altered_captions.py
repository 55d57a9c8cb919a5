"""Captions made worse on purpose, to learn what good ones are worth."""

from collections.abc import Sequence

import numpy as np

from cmdg_plugin.regions import GLOBAL, REGIONS


def swap_captions(
    captions: Sequence[tuple[str, ...]], identities: np.ndarray, fraction: float, seed: int = 0
) -> list[tuple[str, ...]]:
    """Give a random share of the images the captions of a random image of somebody else.

    Args:
        captions: Four sentences of every image.
        identities: (N,) identities, numbered from 0.
        fraction: Share of the images, in [0, 1], rounded to whole images.
        seed: Seed of the choice.

    Returns:
        The captions, in the order of the images.

    Raises:
        ValueError: If all images show one identity.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(captions))[: round(fraction * len(captions))]
    counts = np.bincount(identities)
    others = len(captions) - counts[identities[chosen]]
    if not others.all():
        raise ValueError('swapped_captions takes captions of somebody else, but all images show one identity.')
    # Positions among the images sorted by identity, counted past the own identity's block.
    places = rng.integers(others)
    starts = (np.cumsum(counts) - counts)[identities[chosen]]
    places += np.where(places >= starts, counts[identities[chosen]], 0)
    givers = np.argsort(identities, kind='stable')[places]
    swapped = list(captions)
    for taker, giver in zip(chosen.tolist(), givers.tolist(), strict=True):
        swapped[taker] = captions[giver]
    return swapped


def repeat_global(captions: tuple[str, ...]) -> tuple[str, ...]:
    """The sentence about the whole person in place of those about its thirds."""
    return (captions[GLOBAL],) * len(REGIONS)
