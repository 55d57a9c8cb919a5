import pytest
import torch

from cmdg_plugin.models.backbones import pool_regions, pool_stripes
from cmdg_plugin.models.backbones.region_pooling import stripe_bounds
from cmdg_plugin.regions import REGIONS


@pytest.mark.parametrize(('rows', 'bounds'), [(3, (1, 2, 3)), (5, (1, 2, 5)), (6, (2, 4, 6)), (16, (5, 10, 16))])
def test_lower_stripe_takes_the_rest(rows: int, bounds: tuple[int, int, int]) -> None:
    assert tuple(stop for _, stop in stripe_bounds(rows)) == bounds
    assert [start for start, _ in stripe_bounds(rows)] == [0, *bounds[:2]]


@pytest.mark.parametrize('grid', [(3, 2), (7, 3), (8, 1)])
def test_stripe_means_equal_a_loop_over_patches(grid: tuple[int, int]) -> None:
    rows, columns = grid
    patches = torch.randn(2, rows * columns, 5)
    members = [[], [], []]
    for index in range(rows * columns):
        members[min(index // columns // (rows // 3), 2)].append(index)
    expected = torch.stack([patches[:, part].sum(dim=1) / len(part) for part in members])
    torch.testing.assert_close(pool_stripes(patches, grid), expected)


def test_regions_stand_in_the_package_order() -> None:
    patches, class_token = torch.randn(2, 6, 4), torch.randn(2, 4)
    regions = dict(zip(REGIONS, pool_regions(class_token, patches, (3, 2)), strict=True))
    assert torch.equal(regions['global'], class_token)
    torch.testing.assert_close(regions['upper'], patches[:, :2].mean(1))
    torch.testing.assert_close(regions['lower'], patches[:, 4:].mean(1))


def test_low_grid_and_wrong_token_count_are_refused() -> None:
    with pytest.raises(ValueError, match='at least 3 rows, but it has 2'):
        stripe_bounds(2)
    with pytest.raises(ValueError, match=r'\(B, 6, C\).*3x2.*\(2, 5, 4\)'):
        pool_stripes(torch.randn(2, 5, 4), (3, 2))
