"""The tool that shows training images, as a user runs it."""

from pathlib import Path

import numpy as np
from helpers.tools import run_here, run_tool
from PIL import Image

REPOSITORY = Path(__file__).parents[2]


def test_a_grid_of_protocol_one(release_data: Path, tmp_path: Path) -> None:
    out = tmp_path / 'deep' / 'grid.png'
    arguments = ['--num', 4, '--seed', 1, '--cfg-options', f'data_root={release_data}', 'image_size=64x32']
    arguments += [f'train_dataloader.dataset.index_cache={tmp_path / "p1.index"}']
    result = run_tool('browse_dataset.py', 'configs/cmdg/cmdg_vit-base-p16_p1.py', '--out', out, *arguments)
    assert result.returncode == 0, result.stderr[-2000:]
    assert f'4 of 118 training images: {out}' in result.stdout + result.stderr
    with Image.open(out) as grid:
        assert grid.format == 'PNG'
        # Two rows of three: gray cells of 224 x 224 that hold images of half that width.
        gray = (np.asarray(grid) == 233).all(axis=2)
    assert gray[:, 24:80].any(axis=1).sum() == 2 * 224
    assert (gray[24:248, 24:248].sum(axis=1) == 112).all()


def test_data_that_cannot_be_taken_are_one_line(tmp_path: Path) -> None:
    config = REPOSITORY / 'configs/cmdg/cmdg_toy-vit_own-data.py'
    result = run_here('browse_dataset.py', config, '--out', 'grid.txt')
    assert result.returncode == 1
    assert result.stderr == 'browse_dataset.py: --out takes a picture, such as grid.png, got grid.txt.\n'
    result = run_here(
        'browse_dataset.py', config, '--out', tmp_path / 'grid.png', '--cfg-options', f'data_root={tmp_path}'
    )
    assert result.returncode == 1
    assert 'Traceback (most recent' not in result.stderr
    assert result.stderr.splitlines()[-1].startswith(f'browse_dataset.py: shop: nothing at {tmp_path}')
