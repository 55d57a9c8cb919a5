"""A gallery with its model, small enough to be made in a second: drawn people in plain colors."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from helpers.galleries import write_toy_checkpoint
from PIL import Image

from cmdg_plugin.gallery import Gallery

HOSTILE_NAME = 'a"><b onclick=alert(1)>${7*7}.png'
HOSTILE = '<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1"> & {{ 7 * 7 }} ${7 * 7} </style>'
PEOPLE: Mapping[str, tuple[str, int, str, str]] = {
    'red.png': ('1', 1, '2026-05-01T08:00:00', 'A person in red.'),
    'crimson.png': ('1', 2, '2026-05-01T23:30:00', 'A person in crimson.'),
    'blue.png': ('2', 1, '2026-05-02T09:00:00', 'A person in blue.'),
    'green.png': ('3', 3, '2026-05-03T10:00:00', 'A person in green.'),
    HOSTILE_NAME: ('4', 4, '2026-05-04T11:00:00', HOSTILE),
}
"""Identity, camera, time and caption of each file."""

_COLORS = ((200, 20, 20), (180, 10, 40), (20, 30, 200), (20, 160, 40), (120, 120, 120))


def make_gallery(folder: Path) -> Gallery:
    """Make the gallery `people` in a folder, and beside it its images, their index and the model.

    Args:
        folder: An empty folder.
    """
    images = folder / 'images'
    images.mkdir()
    for name, color in zip(PEOPLE, _COLORS, strict=True):
        _draw(color).save(images / name)
    rows = [
        dict(file_path=name, identity=identity, camera=camera, time=time, caption=caption, floor=camera % 2)
        for name, (identity, camera, time, caption) in PEOPLE.items()
    ]
    index = images / 'index.json'
    index.write_text(json.dumps(rows))
    checkpoint = write_toy_checkpoint(folder / 'model.pth')
    gallery = Gallery.create(folder / 'people', model=checkpoint, device='cpu')
    report = gallery.add(index, progress=False)
    assert (report.added, report.unreadable) == (len(PEOPLE), [])
    return gallery


def _draw(color: tuple[int, int, int]) -> Image.Image:
    """A figure in one color before a gray wall."""
    pixels = np.full((96, 48, 3), 170, np.uint8)
    pixels[8:24, 18:30] = (220, 180, 150)
    pixels[24:90, 12:36] = color
    return Image.fromarray(pixels)
