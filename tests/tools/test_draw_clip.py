"""The tool as a user runs it; what it draws: tests/islands/test_clips.py."""

from pathlib import Path

import pytest
from helpers.tools import run_here


def test_a_clip_and_a_second_one_at_its_place(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    clip = tmp_path / 'clip'
    assert run_here('draw_clip.py', clip, '--domain', 'alpine', '--frames', '2', '--people', '1').returncode == 0
    assert f'{clip}: 2 frames in img1/, truth in gt/gt.txt, boxes in det/det.txt' in log.text
    assert sorted(path.name for path in (clip / 'img1').iterdir()) == ['000001.jpg', '000002.jpg']
    again = run_here('draw_clip.py', clip, '--domain', 'alpine')
    assert again.returncode == 1
    assert again.stderr == f'draw_clip.py: {clip} is not empty: choose another folder for the clip.\n'


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    ended = run_here('draw_clip.py', tmp_path / 'clip', '--domain', 'alpine', '--camera', '3')
    assert ended.returncode == 1
    assert ended.stderr == "draw_clip.py: Domain 'alpine' has cameras 1 to 2, not 3.\n"
    assert not (tmp_path / 'clip').exists()
