"""What a family of image towers has by default; the families: test_families.py."""

import torch

from cmdg_plugin.models.backbones.image_towers import OpenClipViT
from cmdg_plugin.models.backbones.image_towers.base import ImageTower


def test_defaults_change_nothing() -> None:
    vision = {'image_size': 224, 'layers': 12}
    assert ImageTower.sized(vision, (128, 64)) == {'image_size': (128, 64), 'layers': 12}
    assert vision['image_size'] == 224
    visual = torch.nn.Linear(2, 2)
    before = visual.weight.clone()
    ImageTower.resize(visual, (128, 64))
    assert torch.equal(visual.weight, before)
    assert (ImageTower.takes_part_tokens, ImageTower.saves_memory) == (False, True)
    assert OpenClipViT.takes_part_tokens
