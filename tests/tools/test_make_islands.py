import sys
from pathlib import Path

import make_islands
import pytest
from helpers.tools import run_here

from cmdg_plugin.islands import building


def test_every_domain_is_said_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    # Planning is tested with it; drawing a thousand pictures is what this test leaves out.
    monkeypatch.setattr(building, 'plan_domain', lambda name, seed, size: [])
    monkeypatch.setattr(sys, 'argv', ['make_islands.py', str(tmp_path), '--size', 'large'])
    make_islands.main()
    for kind, name in (('source', 'harbor'), ('target', 'metro'), ('target', 'arcade')):
        assert f'{kind} {name}: images {tmp_path / name}, captions {tmp_path / name}.json' in log.text
    assert (tmp_path / 'arcade.json').read_text() == '[]'


def test_what_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    ended = run_here('make_islands.py', tmp_path / 'new', '--seed', '-1')
    assert (ended.returncode, ended.stderr) == (
        1,
        'make_islands.py: The seed of Islands must not be negative, but it is -1.\n',
    )
