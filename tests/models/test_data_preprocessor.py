import pytest
import torch
from mmpretrain.structures import DataSample

from cmdg_plugin.models import ReIDDataPreprocessor


def images(count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 6, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_instance_normalization_equals_a_loop_over_images_and_channels() -> None:
    batch = images()
    result = ReIDDataPreprocessor()({'inputs': list(batch)})['inputs']
    for b in range(2):
        for channel in range(3):
            plane = batch[b, 2 - channel].double() / 255
            expected = (plane - plane.mean()) / (plane.var(unbiased=False) + 1e-5).sqrt()
            assert torch.allclose(result[b, channel].double(), expected, atol=1e-5)


def test_brightness_and_cast_of_a_camera_vanish() -> None:
    batch = images() // 2
    cast = (batch.float() * torch.tensor([0.9, 1.2, 1.5]).view(3, 1, 1)).round().to(torch.uint8)
    plain, tinted = (ReIDDataPreprocessor()({'inputs': each})['inputs'] for each in (batch, cast))
    assert torch.allclose(plain, tinted, atol=0.05)


def test_fixed_normalization_uses_clips_numbers_in_rgb_order() -> None:
    batch = images()
    result = ReIDDataPreprocessor('fixed')({'inputs': batch})['inputs']
    assert torch.allclose(result[:, 0], (batch[:, 2].float() - 122.7709) / 68.5005)


def test_batches_without_images_pass() -> None:
    index = torch.arange(3)
    assert torch.equal(ReIDDataPreprocessor()({'image_index': index})['image_index'], index)


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        ([torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(3, 4, 5, dtype=torch.uint8)], 'one size'),
        (torch.zeros(2, 3, 4, 4), 'uint8'),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), r'\(B, 3, H, W\)'),
    ],
)
def test_wrong_images_are_named(inputs: list[torch.Tensor] | torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReIDDataPreprocessor()({'inputs': inputs})


def test_unknown_normalization_is_named() -> None:
    with pytest.raises(ValueError, match="'batch'"):
        ReIDDataPreprocessor('batch')


def test_batch_augmentation_is_refused() -> None:
    """mmpretrain's classifiers pass the setting on, None where there is none."""
    ReIDDataPreprocessor(batch_augments=None)
    with pytest.raises(ValueError, match='mixes no images'):
        ReIDDataPreprocessor(batch_augments={'augments': {'type': 'Mixup'}})


def test_training_batches_alone_are_augmented_before_they_are_normalized() -> None:
    preprocess = ReIDDataPreprocessor(augmentation={'type': 'BatchAugmentation', 'steps': {'flip': {'prob': 1.0}}})
    preprocess.start_epoch(0, 0)
    batch = {'inputs': images(), 'data_samples': [DataSample(image_index=4), DataSample(image_index=5)]}
    plain = ReIDDataPreprocessor()(batch)['inputs']
    assert torch.equal(preprocess(batch)['inputs'], plain)
    assert torch.allclose(preprocess(batch, True)['inputs'], plain.flip(-1), atol=1e-5)
    with pytest.raises(ValueError, match='augments batches already'):
        preprocess.set_augmentation({'type': 'BatchAugmentation', 'steps': {}})
    with pytest.raises(ValueError, match="add 'image_index' to PackInputs"):
        preprocess({'inputs': images(), 'data_samples': [DataSample()] * 2}, True)
    assert not preprocess.state_dict()


def test_colors_are_augmented_in_rgb_order() -> None:
    """Gray of a blue image is dark, of a red one brighter."""
    preprocess = ReIDDataPreprocessor(
        'fixed', (0,) * 3, (1,) * 3, augmentation={'type': 'BatchAugmentation', 'steps': {'grayscale': {'prob': 1.0}}}
    )
    preprocess.start_epoch(0, 0)
    blue = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    found = preprocess({'inputs': blue, 'data_samples': [DataSample(image_index=0)]}, True)['inputs']
    assert found.unique().tolist() == [29]
