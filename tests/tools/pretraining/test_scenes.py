import numpy as np
import pytest
from PIL import Image
from pretraining.scenes import describe_scene


def _scene(wall: tuple[int, int, int], ground: tuple[int, int, int]) -> Image.Image:
    """A person in pink before a wall."""
    image = Image.new('RGB', (50, 100), wall)
    image.paste(ground, (0, 70, 50, 100))
    image.paste((230, 140, 172), (15, 10, 35, 90))
    return image


@pytest.mark.parametrize(
    ('wall', 'ground', 'words'),
    [
        ((190, 40, 44), (46, 128, 70), ('red', 'green', 'warm')),
        ((48, 92, 190), (30, 30, 32), ('blue', 'black', 'cold')),
        ((232, 232, 228), (128, 130, 134), ('white', 'gray', 'bright')),
    ],
)
def test_wall_ground_and_light_are_named_and_the_person_is_not(
    wall: tuple[int, int, int], ground: tuple[int, int, int], words: tuple[str, ...]
) -> None:
    sentences = {describe_scene(_scene(wall, ground), np.random.default_rng(seed)) for seed in range(30)}
    assert len(sentences) == 4
    for sentence in sentences:
        assert all(word in sentence for word in words), sentence
        assert 'pink' not in sentence
