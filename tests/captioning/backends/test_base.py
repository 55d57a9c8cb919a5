"""What every backend has; a third one, by its name alone."""

from collections.abc import Callable
from pathlib import Path

from helpers.scripted_captions import GOOD, Scripted

from cmdg_plugin.datasets import load_captions


def test_nothing_is_secret_by_default() -> None:
    assert Scripted().secrets == ()


def test_a_third_backend_by_name(
    make_images: Callable[..., Path], tmp_path: Path, caption_tool: Callable[..., int]
) -> None:
    out = tmp_path / 'c.json'
    assert caption_tool(make_images(1), '--out', out, '--backend', 'scripted', '--model', 'm') == 0
    assert load_captions(out)[0].captions == (GOOD,) * 4
