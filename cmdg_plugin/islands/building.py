"""Islands on disk, written so that no reader ever meets half a picture or a caption file without its pictures."""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from cmdg_plugin.files.locking import hold
from cmdg_plugin.files.witness import note
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.progress import track

from .describing import describe
from .domains import get_domain
from .pictures import draw, draw_nobody
from .planning import FOLDERS, Shot, find_size, plan_domain

GENERATOR_VERSION = 1
"""Counts up whenever the same seed gives other pictures or captions."""

MANIFEST = 'islands.json'
_TEMPORARY = '.making-'


def build_islands(
    root: str | os.PathLike[str], *, seed: int = 0, domains: Sequence[str] | None = None, size: str = 'small'
) -> Path:
    """Make the benchmark below a folder, or what is missing of it.

    Every domain gets Market-1501's three folders (`<root>/<domain>/bounding_box_train`, `query`,
    `bounding_box_test`) and a caption file `<root>/<domain>.json` nested like the released `market1501.json`. Two
    processes may call this at once. A complete benchmark is left alone.

    Args:
        root: Folder that holds, or is to hold, the benchmark.
        seed: Seed of all people, pictures and captions.
        domains: Names of the domains to make; all by default.
        size: `small` (six domains) or `large` (seven; as many people to train on, five times as many to look for).

    Returns:
        `root` as a path.

    Raises:
        ValueError: If a domain or size is unknown, the seed negative, or `root` holds a benchmark of another seed, size
            or generator.
        FileExistsError: If `root` holds a folder that is named like a domain but was not made by this function.
    """
    if seed < 0:
        raise ValueError(f'The seed of Islands must not be negative, but it is {seed}.')
    known = find_size(size).domains
    names = known if domains is None else tuple(domains)
    for name in names:
        if name not in known:
            raise ValueError(f'Islands of size {size!r} has no domain {name!r}; there are {", ".join(known)}.')
    root = Path(root)
    _claim(root, seed, size)
    if any(not _is_complete(root, name) for name in names):
        with hold(root / '.lock', f'Another process is making Islands in {root}: waiting for it.', wait=True):
            for leftover in root.glob(f'{_TEMPORARY}*/'):
                shutil.rmtree(leftover, ignore_errors=True)
            # Asked again: while this process waited for the lock, another one may have made them.
            missing = [name for name in names if not _is_complete(root, name)]
            if missing:
                _make(root, missing, seed, size)
    return root


def _claim(root: Path, seed: int, size: str) -> None:
    """Write down what `root` holds, or check what an earlier call wrote down."""
    manifest = root / MANIFEST
    note(manifest)
    wanted: dict[str, int | str] = {'generator_version': GENERATOR_VERSION, 'seed': seed}
    if size != 'small':
        # Small ones were written before there was another size.
        wanted['size'] = size
    if manifest.exists():
        found = json.loads(manifest.read_text(encoding='utf-8'))
        if found != wanted:
            raise ValueError(
                f'{root} holds Islands made with {found}, but {wanted} is asked for. '
                'Choose another folder, or delete this one and call again.'
            )
        return
    for name in find_size(size).domains:
        if (root / name).exists():
            raise FileExistsError(
                f'{root / name} exists, but {manifest} does not: it was not made by Islands and is left alone. '
                'Choose another folder.'
            )
    root.mkdir(parents=True, exist_ok=True)
    write_whole(manifest, json.dumps(wanted, indent=1))


def _is_complete(root: Path, name: str) -> bool:
    captions = root / f'{name}.json'
    if not captions.exists():
        return False
    folders = [root / name / folder for folder in FOLDERS]
    if not all(folder.is_dir() for folder in folders):
        return False
    there = {f'{folder.name}/{entry.name}' for folder in folders for entry in os.scandir(folder)}
    records = json.loads(captions.read_text(encoding='utf-8'))
    return all(record['file_path'] in there for record in records)


def _make(root: Path, names: Sequence[str], seed: int, size: str) -> None:
    plans = {name: plan_domain(name, seed, size) for name in names}
    total = sum(len(plan) for plan in plans.values())
    print_log(f'Making Islands in {root}, once: {total} pictures of {", ".join(names)}.', logger='current')
    for name, plan in plans.items():
        with tempfile.TemporaryDirectory(dir=root, prefix=_TEMPORARY) as workshop:
            for folder in FOLDERS:
                (Path(workshop) / folder).mkdir()
                (root / name / folder).mkdir(parents=True, exist_ok=True)
            records = [_take(shot, name, Path(workshop)) for shot in track(plan, f'Drawing {name}', unit='picture')]
            for shot in plan:
                os.replace(Path(workshop) / shot.file_path, root / name / shot.file_path)
        # Last, because a caption file says that its domain is there.
        write_whole(root / f'{name}.json', json.dumps(records, indent=1))


def _take(shot: Shot, name: str, folder: Path) -> dict[str, object]:
    """Take one picture, write it below a folder and return its record for the caption file."""
    rng = np.random.default_rng(shot.seed)
    domain, place_seed = get_domain(name), shot.seed[0]
    if shot.person is None:
        picture = draw_nobody(domain, shot.camera, rng, place_seed)
    else:
        picture = draw(shot.person, domain, shot.camera, rng, place_seed)
    quality = domain.cameras[shot.camera - 1].quality
    picture.image.save(folder / shot.file_path, quality=quality)
    captions = describe(shot.person, picture, rng)
    return {'id': shot.identity, 'cmid': shot.camera, 'file_path': shot.file_path, 'captions': list(captions)}
