"""Pictures and captions of other people in other places, to pretrain on without a look at the benchmark."""

import io
import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from cmdg_plugin.files.writing import open_whole_bytes, write_whole
from cmdg_plugin.islands.describing import describe
from cmdg_plugin.islands.domains import Domain
from cmdg_plugin.islands.people import sample_person
from cmdg_plugin.islands.pictures import draw
from cmdg_plugin.progress import track
from pretraining.scenes import describe_scene
from pretraining.styles import sample_camera

UNSEEN_SEED = 1
"""Seed of the pairs that nothing is trained on; training takes others."""

_STREAM = 1_000
"""Keeps these people apart from the benchmark's: its seeds are (seed, 0..6, ...)."""

_SHEET = 2_000
"""Pictures in one file on disk."""

_SCENES = 1 / 3
"""Share of the global captions that speak of the place and the light."""

_VERSION = 2
"""Counts up whenever the same seed gives other pictures or captions."""


class Pairs(NamedTuple):
    """Pictures, and what a captioner says about them.

    Attributes:
        images: RGB, uint8, (N, height, width, 3).
        captions: Four texts a picture, in the order of caption files: global, upper, middle, lower. As captions on
            the web do, and unlike the benchmark's, some global ones speak of the place and the light, too.
    """

    images: np.ndarray
    captions: list[list[str]]


class Elsewhere:
    """Photographs and descriptions of people who live on none of the islands.

    Every picture shows another person, before another camera. Pictures are drawn in sheets, each a file.

    Args:
        count: Number of pictures.
        size: Height and width to which pictures are resized.
        seed: Seed of everything.
        folder: Where sheets are kept.
    """

    def __init__(self, count: int, size: tuple[int, int], seed: int, folder: Path) -> None:
        self.count, self.size, self.seed = count, size, seed
        self.folder = folder / f'v{_VERSION}-{size[0]}x{size[1]}-seed{seed}'

    def __len__(self) -> int:
        """Count the sheets."""
        return math.ceil(self.count / _SHEET)

    def __getitem__(self, sheet: int) -> int:
        """Draw a sheet unless it is there; returns its number."""
        texts = self.folder / f'{sheet:04d}.json'
        if not texts.is_file():
            pairs = [sample_pair(sheet * _SHEET + number, self.size, self.seed) for number in range(_SHEET)]
            with open_whole_bytes(texts.with_suffix('.npy')) as file:
                np.save(file, np.stack([image for image, _ in pairs]))
            # Last, because it says that its pictures are there.
            write_whole(texts, json.dumps([captions for _, captions in pairs]))
        return sheet

    def load(self, num_workers: int) -> Pairs:
        """Draw what is missing, and read all.

        Args:
            num_workers: Processes that draw.
        """
        drawing: DataLoader[int] = DataLoader(self, batch_size=None, num_workers=num_workers)  # type: ignore[arg-type]
        for _ in track(drawing, 'Drawing people elsewhere', total=len(self), unit='sheet'):
            pass
        images = np.empty((len(self) * _SHEET, *self.size, 3), dtype=np.uint8)
        captions: list[list[str]] = []
        for sheet in range(len(self)):
            images[sheet * _SHEET : (sheet + 1) * _SHEET] = np.load(self.folder / f'{sheet:04d}.npy')
            captions += json.loads((self.folder / f'{sheet:04d}.json').read_text(encoding='utf-8'))
        return Pairs(images[: self.count], captions[: self.count])


def sample_pair(number: int, size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Photograph and describe somebody.

    Args:
        number: Which of all pictures.
        size: Height and width to which the picture is resized.
        seed: Seed of everything.

    Returns:
        The picture (height, width, 3), RGB, uint8, and its four captions.
    """
    rng = np.random.default_rng([seed, _STREAM, number])
    person, camera = sample_person(rng), sample_camera(rng)
    # A few hundred places are enough, and their paintings are kept.
    picture = draw(person, Domain('elsewhere', (camera,)), 1, rng, place_seed=_STREAM + int(rng.integers(12)))
    whole, *thirds = describe(person, picture, rng)
    if rng.random() < _SCENES:
        whole = f'{describe_scene(picture.image, rng)} {whole}'
    written = io.BytesIO()
    picture.image.save(written, 'JPEG', quality=camera.quality)
    resized = Image.open(written).resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(resized), [whole, *thirds]
