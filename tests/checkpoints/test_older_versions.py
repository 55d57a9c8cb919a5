"""A checkpoint that version 0.1.0 saved inside the bridging stage (its config says the bank in pieces)."""

import lzma
from pathlib import Path

import pytest
import torch
from helpers.tiny_runs import going_on, train
from mmengine.config import Config

from cmdg_plugin.apis import init_model
from cmdg_plugin.checkpoints.reading import read_checkpoint

FILE = Path(__file__).parents[1] / 'data' / 'tiny-0.1.0_epoch_6.pth.xz'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / 'epoch_6.pth'
    path.write_bytes(lzma.decompress(FILE.read_bytes()))
    return path


def test_its_config_is_built_and_its_weights_loaded(tiny_clip: str, checkpoint: Path) -> None:
    model = init_model(None, checkpoint, device='cpu')
    saved = read_checkpoint(checkpoint)['state_dict']
    weights = model.state_dict()
    assert torch.equal(weights['backbone.clip.visual.proj'], saved['backbone.clip.visual.proj'])
    assert 'bridging' in model.losses


def test_its_training_goes_on_to_the_same_end(tiny_config: Config, checkpoint: Path) -> None:
    runner = train(going_on(tiny_config, checkpoint))
    assert runner.epoch == 7
    weights = runner.model.state_dict()
    # What that version came to from there; pictures may be decoded a little differently elsewhere.
    for name, expected in read_checkpoint(checkpoint)['expected'].items():
        torch.testing.assert_close(weights[name], expected, rtol=2e-2, atol=2e-3, msg=f'{name}: {{}}'.format)
