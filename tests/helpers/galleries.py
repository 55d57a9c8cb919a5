"""What tests of galleries need: a checkpoint of the toy CLIP, and pictures of people in two colors."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cmdg_plugin.apis import init_model

REPOSITORY = Path(__file__).parents[2]


def write_toy_checkpoint(path: Path) -> Path:
    """Write a checkpoint of the toy CLIP as it ships."""
    model = init_model(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py', device='cpu')
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': model._config.pretty_text}}, path)
    return path


def draw_people(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Draw people by number, each by two cameras, in folders named by role; each has a color of its own."""
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        role = ('query', 'gallery')[number % 2]
        top, bottom = rng.integers(0, 256, (2, 3))
        for camera in (1, 2):
            pixels = np.empty((64, 32, 3))
            pixels[:32], pixels[32:] = top, bottom
            pixels += rng.normal(0, 8, pixels.shape)
            path = folder / role / f'{number:04d}_c{camera}_x.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            paths.append(path)
    return paths
