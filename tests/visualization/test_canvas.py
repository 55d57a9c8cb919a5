import pytest
from PIL import Image

from cmdg_plugin.visualization.canvas import fit_image


@pytest.mark.parametrize(
    ('size', 'expected'),
    [((10, 20), (50, 100)), ((400, 100), (100, 25)), ((1, 500), (1, 100)), ((100, 100), (100, 100))],
)
def test_images_are_as_large_as_fits_and_keep_their_aspect(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit_image(Image.new('RGB', size), (100, 100)).size == expected
