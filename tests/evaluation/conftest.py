"""A small evaluation set: two targets, one of them with several splits."""

from collections.abc import Callable

import numpy as np
import pytest

from cmdg_plugin.datasets.evaluation_set import EvaluationSplit, EvaluationTarget


def _target(
    name: str,
    identities: list[int],
    cameras: list[int],
    splits: list[tuple[list[int], list[int]]],
    offset: int,
    has_cameras: bool = True,
) -> EvaluationTarget:
    size = len(identities)
    return EvaluationTarget(
        name=name,
        paths=[f'{name}/{image}.jpg' for image in range(size)],
        identities=np.array(identities),
        cameras=np.array(cameras),
        captions=[tuple(f'{part} {image}' for part in 'umlg') if image % 2 else None for image in range(size)],
        splits=tuple(EvaluationSplit(np.array(query), np.array(gallery)) for query, gallery in splits),
        offset=offset,
        has_cameras=has_cameras,
    )


@pytest.fixture
def make_target() -> Callable[..., EvaluationTarget]:
    """Builds a target from lists."""
    return _target


@pytest.fixture
def targets() -> tuple[EvaluationTarget, EvaluationTarget]:
    """`street` (one split, 60 images) and `hall` (three splits over 30 images)."""
    rng = np.random.default_rng(0)
    street = _target(
        'street', rng.integers(0, 6, 60), rng.integers(0, 2, 60), [(np.arange(20), np.arange(20, 60))], offset=0
    )
    identities = np.repeat(np.arange(10), 3)
    splits = [np.split(rng.permutation(30), [8]) for _ in range(3)]
    return street, _target('hall', identities, np.tile([0, 1, 2], 10), splits, offset=60)
