from typing import Any

import pytest
import torch

from cmdg_plugin.models.augmentation import BatchAugmentation
from cmdg_plugin.registry import MODELS

STEPS: dict[str, Any] = {
    'grayscale': {'prob': 0.1},
    'crop': {'padding': 10},
    'flip': {'prob': 0.4},
    'color_jitter': {'prob': 0.5, 'brightness': 0.15, 'contrast': 0.1, 'saturation': 0.05, 'hue': 0.05},
    'aug_mix': {'prob': 0.6, 'width': 3, 'depth': 1, 'severity': 1, 'coefficient': 0.1},
}
IMAGES = torch.randint(0, 256, (12, 3, 30, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
POSITIONS = list(range(100, 112))


def make(seed: int = 3, epoch: int = 5) -> BatchAugmentation:
    augmentation = MODELS.build({'type': 'BatchAugmentation', 'steps': STEPS})
    augmentation.start_epoch(seed, epoch)
    return augmentation


def test_an_image_is_drawn_for_whatever_stands_beside_it() -> None:
    whole = make()(IMAGES, POSITIONS)
    assert (whole.shape, whole.dtype) == (IMAGES.shape, torch.uint8)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    shuffled = make()(IMAGES[order], [POSITIONS[row] for row in order])
    assert torch.equal(shuffled, whole[order])
    halves = [make()(IMAGES[part], POSITIONS[part]) for part in (slice(5), slice(5, None))]
    assert torch.equal(torch.cat(halves), whole)


def test_seed_epoch_position_and_repetition_decide() -> None:
    drawn = [make().draw([7, 8], (30, 20)), make(seed=4).draw([7, 8], (30, 20)), make(epoch=6).draw([7, 8], (30, 20))]
    windows = [window for draws in drawn for window in draws['crop']]
    twice = make().draw([7, 7, 8], (30, 20))['crop']
    assert len({*windows, twice[1]}) == 7
    assert twice[0] == windows[0]
    assert twice[2] == windows[1]


def test_draws_of_neighbors_do_not_depend_on_each_other() -> None:
    """Positions count up, and epochs too: a weak generator would show it."""
    first = [torch.tensor(make(epoch=epoch).draw(range(4000), (30, 20))['crop']) for epoch in (1, 2)]
    for one, other in ((first[0], first[1]), (first[0][1:], first[0][:-1])):
        joined = torch.stack([one[:, 0], other[:, 0]]).double()
        assert abs(float(torch.corrcoef(joined)[0, 1])) < 0.05


def test_images_and_torchs_generator_are_left_alone() -> None:
    before, state = IMAGES.clone(), torch.get_rng_state()
    make()(IMAGES, POSITIONS)
    assert torch.equal(IMAGES, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_autocast_changes_nothing() -> None:
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = make()(IMAGES, POSITIONS)
    assert torch.equal(found, make()(IMAGES, POSITIONS))


def test_windows_of_another_size() -> None:
    augmentation = BatchAugmentation({'crop': {'size': (8, 6)}, 'aug_mix': STEPS['aug_mix']})
    augmentation.start_epoch(0, 0)
    assert augmentation(IMAGES, POSITIONS).shape == (12, 3, 8, 6)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match='has the steps grayscale, crop, flip, color_jitter, aug_mix, not blur'):
        BatchAugmentation({'blur': {}})
    with pytest.raises(ValueError, match=r'flip\.prob must be from 0 to 1, got 40'):
        BatchAugmentation({'flip': {'prob': 40}})
    with pytest.raises(RuntimeError, match='No epoch was started'):
        BatchAugmentation(STEPS)(IMAGES, POSITIONS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_on_a_device_without_waiting_for_it() -> None:
    images, augmentation = IMAGES.cuda(), make()
    expected = augmentation(IMAGES, POSITIONS)
    augmentation(images, POSITIONS)
    torch.cuda.set_sync_debug_mode('error')
    try:
        found = augmentation(images, POSITIONS)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert (found.cpu().int() - expected.int()).abs().max() <= 1
