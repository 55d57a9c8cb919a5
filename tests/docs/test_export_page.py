"""Every command and line of docs/export.md, run in order."""

import re
from pathlib import Path
from typing import Any

import pytest
from helpers.galleries import write_toy_checkpoint
from run_docs import run_commands

REPOSITORY = Path(__file__).parents[2]

for package in ('onnx', 'onnxscript', 'onnxruntime', 'openvino', 'tokenizers'):
    pytest.importorskip(package)


@pytest.mark.slow
def test_the_page_runs_from_its_first_line_to_its_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / 'work_dirs/cmdg_toy-vit_islands/epoch_38.pth'
    checkpoint.parent.mkdir(parents=True)
    write_toy_checkpoint(checkpoint)
    for name in ('tools', 'configs', 'data/islands'):
        if (REPOSITORY / name).is_dir():  # Islands is drawn by the page's second command where it is not there yet
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    page = (REPOSITORY / 'docs/export.md').read_text(encoding='utf-8')
    scope: dict[str, Any] = {}
    for language, block in re.findall(r'^```(\w+)\n(.*?)^```$', page, re.DOTALL | re.MULTILINE):
        if language == 'python':
            exec(compile(block, 'export.md', 'exec'), scope)
        else:
            run_commands(re.sub(r'^pip install .*\n', '', block), tmp_path)
    assert scope['features'].shape == (2, 224)
    written = {path.name for path in (tmp_path / 'work_dirs').iterdir()}
    assert written >= {'toy.onnx', 'toy.xml', 'toy.bin', 'toy.pt2', 'toy-text.onnx', 'toy-half.onnx', 'toy-int8.xml'}
