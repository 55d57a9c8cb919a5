"""Toy models, pictures of people in colored clothes, and a real Milvus server where one can start."""

import importlib.util
import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from helpers.galleries import draw_people

from cmdg_plugin.gallery.encoding import GalleryModel


@pytest.fixture(scope='session')
def other_checkpoint(toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model: one of its norms is shifted."""
    path = tmp_path_factory.mktemp('other') / 'other.pth'
    content = torch.load(toy_checkpoint, weights_only=True)
    content['state_dict']['backbone.norm_shared.bias'] += 0.3
    torch.save(content, path)
    return path


@pytest.fixture(scope='session')
def toy_model(toy_checkpoint: Path) -> GalleryModel:
    """The toy, loaded."""
    return GalleryModel(toy_checkpoint, 'cpu')


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Six people, each seen by two cameras."""
    draw_people(tmp_path / 'people', 6)
    return tmp_path / 'people'


@pytest.fixture
def index(people: Path) -> Path:
    """An index of them with names, times and further columns."""
    rows = [
        {
            'path': str(path.relative_to(people)),
            'identity': f'person {int(path.name[:4])}',
            'camera': int(path.name[6]),
            'time': f'2026-05-0{1 + place % 3}T08:00:00+02:00',
            'captions': [f'A person number {place}.', 'upper', 'middle', 'lower'],
            'floor': place % 4,
            'shop': '007',
        }
        for place, path in enumerate(sorted(people.rglob('*.png')))
    ]
    path = people / 'index.json'
    path.write_text(json.dumps(rows))
    return path


@dataclass(frozen=True)
class MilvusPlace:
    """A running server: its address, and where its files lie."""

    uri: str
    folder: Path


@pytest.fixture(scope='session')
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusPlace]:
    """A real server, started for the session; skips with a reason where none can start."""
    for package in ('pymilvus', 'milvus'):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f'the package {package} is not installed')
    from milvus import MilvusServer

    # One server at a time: workers of one test run share the machine's ports.
    with FileLock(tmp_path_factory.getbasetemp().parent / 'milvus.lock'):
        server = MilvusServer()
        folder = tmp_path_factory.mktemp('milvus')
        server.set_base_dir(str(folder))
        # By default it looks for garbage once an hour, and keeps that for three.
        server.config.extra_configs.update({'dataCoord.gc.interval': 5, 'dataCoord.gc.dropTolerance': 1})
        try:
            server.start()
        except Exception as error:  # whatever a machine has against it
            pytest.skip(f'no Milvus server starts here: {error}')
        yield MilvusPlace(f'http://127.0.0.1:{server.listen_port}', folder)
        process = server.server_proc
        with suppress(subprocess.TimeoutExpired):  # it is killed after a second, and given three more
            server.stop()
        process.wait()
