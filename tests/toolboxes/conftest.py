"""torchreid evaluates our checkpoints here: a tiny one, and the miniatures of the public datasets."""

import pytest
from mmengine.config import Config

from cmdg_plugin.apis import init_model
from cmdg_plugin.models import CMDGReID


@pytest.fixture
def tiny_model(tiny_config: Config) -> CMDGReID:
    """Build the tiny model with random weights: its features differ from image to image, which is all that counts."""
    return init_model(tiny_config, device='cpu')
