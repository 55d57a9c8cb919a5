import numpy as np
import pytest

from cmdg_plugin.models.training_images import DataSizes, TrainingImages


def test_tells_where_each_identity_is_at_home() -> None:
    images = TrainingImages.number(np.array([2, 0, 1, 0, 0]), [1, 0, 1, 0, 0])
    assert images.identity_domains.tolist() == [0, 1, 1]
    assert images.sizes(width=8, embed_dim=4) == DataSizes(
        num_identities=3, num_domains=2, num_samples=5, num_elsewhere=2, num_paired=1, width=8, embed_dim=4
    )


def test_without_domains_there_is_one() -> None:
    assert TrainingImages.number([0, 1, 1]).identity_domains.tolist() == [0, 0]


@pytest.mark.parametrize(
    ('identities', 'domains', 'message'),
    [
        ([0, 0, 2], [0, 0, 1], 'Identities must be numbered from 0 without gaps'),
        ([], None, 'Identities must be numbered'),
        ([[0, 1]], None, 'Identities must be numbered'),
        ([0, 0, 1], [0, 0, 2], 'Domains must be numbered'),
        ([0, 0, 1], [0, 1, 1], 'stands in two domains'),
        ([0, 0, 1], [0, 1], '3 identities of images, but 2 domains'),
    ],
)
def test_wrong_numbers_are_refused(identities: list, domains: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingImages.number(identities, domains)
