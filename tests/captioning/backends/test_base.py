"""What every backend has; a third one, by its name alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.scripted_captions import GOOD, Scripted

from cmdg_plugin.captioning.backends.base import import_extra
from cmdg_plugin.datasets import load_captions


def test_nothing_is_secret_by_default() -> None:
    assert Scripted().secrets == ()


def test_a_missing_package_is_one_line_that_says_what_to_install() -> None:
    assert import_extra('json', 'captions') is json
    with pytest.raises(
        ImportError,
        match=r'no_such_package is needed here and missing \(.*\): pip install "cmdg_plugin\[captions-local\]"\.$',
    ):
        import_extra('no_such_package.inner', 'captions-local')


def test_a_third_backend_by_name(
    make_images: Callable[..., Path], tmp_path: Path, caption_tool: Callable[..., int]
) -> None:
    out = tmp_path / 'c.json'
    assert caption_tool(make_images(1), '--out', out, '--backend', 'scripted', '--model', 'm') == 0
    assert load_captions(out)[0].captions == (GOOD,) * 4
