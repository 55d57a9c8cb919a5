from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new('RGB', (28, 56), 'red').save(tmp_path / 'red.png')
    return tmp_path / 'red.png'
