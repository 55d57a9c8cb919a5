"""The toy CLIP, and JPEG files of people."""

from pathlib import Path
from typing import Any

import pytest
from helpers.exports import draw_jpegs

from cmdg_plugin.apis import init_model


@pytest.fixture(scope='session')
def toy(toy_checkpoint: Path) -> Any:
    """The toy, loaded."""
    return init_model(None, toy_checkpoint, 'cpu')


@pytest.fixture(scope='session')
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Seven people, drawn."""
    return draw_jpegs(tmp_path_factory.mktemp('people'), 7)
