"""What tests of exports need: pictures of people as JPEG files."""

from pathlib import Path

import numpy as np

from cmdg_plugin.islands import draw, get_domain, sample_person


def draw_jpegs(folder: Path, count: int) -> list[Path]:
    """Draw people of the unseen domains of Islands, each as a JPEG file of its camera's size."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        rng = np.random.default_rng(number)
        picture = draw(sample_person(rng), get_domain(('metro', 'alpine')[number % 2]), 1, rng)
        paths.append(folder / f'{number:04d}_c1_x.jpg')
        picture.image.save(paths[-1], quality=90)
    return paths
