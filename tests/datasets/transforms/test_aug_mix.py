import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from cmdg_plugin.datasets.transforms import AugMix
from cmdg_plugin.datasets.transforms.aug_mix import OPERATIONS
from cmdg_plugin.registry import TRANSFORMS

PROTOCOL = Path(__file__).parents[3] / 'configs/cmdg/cmdg_vit-base-p16_p1.py'


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    state = random.getstate()
    random.seed(0)
    yield
    random.setstate(state)


def test_value_is_the_mixture_of_its_parts(image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain loop over recorded draws."""
    changed = []

    def invert(picture: Image.Image, level: float) -> Image.Image:
        changed.append(level)
        return Image.fromarray(255 - np.asarray(picture))

    monkeypatch.setattr('cmdg_plugin.datasets.transforms.aug_mix.OPERATIONS', {'invert': invert})
    random.seed(5)
    found = AugMix(width=3, depth=1, severity=1, coefficient=0.5).transform({'img': image})['img']
    random.seed(5)
    share = random.betavariate(0.5, 0.5)
    expected = (1 - share) * image.astype(float) + share * (255 - image.astype(float))
    assert np.abs(found - expected).max() <= 0.51
    assert len(changed) == 3
    # Severity 1 of 10: between a tenth and the whole of one tenth.
    assert all(0.01 <= level <= 0.1 for level in changed)


@pytest.mark.parametrize('name', OPERATIONS)
def test_every_operation_keeps_size_and_grows_with_level(name: str) -> None:
    operation = OPERATIONS[name]
    picture = Image.linear_gradient('L').resize((60, 90)).convert('RGB')
    strong = operation(picture, 1.0)
    assert strong.size == picture.size
    assert strong.mode == 'RGB'
    if name not in ('auto contrast', 'equalize'):
        weak = operation(picture, 0.3)
        change = [np.abs(np.asarray(item, float) - np.asarray(picture, float)).mean() for item in (weak, strong)]
        assert change[0] < change[1]


def test_geometry_moves_at_severity_one() -> None:
    """What torchvision's AugMix would not do: CMDG's severity shifts, shears and rotates a little."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8))
    for name, operation in OPERATIONS.items():
        if name.startswith(('shear', 'rotate', 'translate')):
            assert np.any(np.asarray(operation(picture, 0.1)) != np.asarray(picture)), name


@pytest.mark.parametrize('axis', ['x', 'y'])
@pytest.mark.parametrize('level', [0.0, 0.01, 0.05, 0.1, 0.77, 1.0])
def test_shifts_are_those_of_interpolation(axis: str, level: float) -> None:
    """Whole pixels, moved either way, with black behind them."""
    pixels = np.random.default_rng(0).integers(0, 256, (90, 61, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    step = int(level * (61 if axis == 'x' else 90) / 3)
    expected = []
    for sign in (-1, 1):
        matrix = (1, 0, sign * step, 0, 1, 0) if axis == 'x' else (1, 0, 0, 0, 1, sign * step)
        moved = picture.transform(picture.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR)
        expected.append(np.asarray(moved).tobytes())
    operation = OPERATIONS[f'translate {axis}']
    found = {np.asarray(operation(picture, level)).tobytes() for _ in range(20)}
    assert found == set(expected)


def test_depth_is_drawn_where_none_is_given(image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        'cmdg_plugin.datasets.transforms.aug_mix.OPERATIONS',
        {'note': lambda picture, level: calls.append(1) or picture},
    )
    for _ in range(30):
        AugMix(width=1, depth=-1).transform({'img': image})
    assert 30 < len(calls) < 90


def test_input_is_left_alone(image: np.ndarray) -> None:
    before = image.copy()
    AugMix(coefficient=1.0).transform({'img': image})
    assert np.array_equal(image, before)


@pytest.mark.parametrize('settings', [{'width': 0}, {'severity': 0}, {'severity': 11}, {'coefficient': 0}])
def test_settings_out_of_range(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match='expected width'):
        AugMix(**settings)


def test_the_whole_training_pipeline(tmp_path: Path, image: np.ndarray) -> None:
    path = tmp_path / 'a.jpg'
    Image.fromarray(image).save(path)
    with DefaultScope.overwrite_default_scope('cmdg_plugin'):
        pipeline = Compose(Config.fromfile(PROTOCOL).train_dataloader.dataset.pipeline)
    for _ in range(40):
        sample = {
            'img_path': str(path),
            'gt_label': 4,
            'camera': 1,
            'domain': 2,
            'image_index': 3,
            'captions': ('a',) * 4,
        }
        packed = pipeline(sample)
        assert packed['inputs'].shape == (3, 224, 224)
        assert str(packed['inputs'].dtype) == 'torch.uint8'
        assert packed['data_samples'].gt_label.item() == 4
        assert packed['data_samples'].image_index == 3
    assert TRANSFORMS.get('AugMix') is AugMix
