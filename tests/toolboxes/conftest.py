"""torchreid evaluates our checkpoints here: a tiny one, and the miniatures of the public datasets."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.config import Config

from cmdg_plugin.apis import init_model


@pytest.fixture(scope='session')
def miniatures() -> ModuleType:
    """Import the helper that writes tiny copies of the public datasets."""
    path = Path(__file__).parents[1] / 'helpers' / 'miniatures.py'
    spec = importlib.util.spec_from_file_location('miniatures', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny_model(tiny_config: Config):
    """Build the tiny model with random weights: its features differ from image to image, which is all that counts."""
    return init_model(tiny_config, device='cpu')
