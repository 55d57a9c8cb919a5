"""A config file that a tool, another process, can train in a second or two."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config


@pytest.fixture
def config_file(tiny_config: Config, tiny_clip_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_config.model.backbone.model_name = tiny_clip_file.stem
    # A tool is another process: it learns of the tiny CLIP from the config, as with a user's own model.
    (tmp_path / 'my_models.py').write_text(f'import open_clip\nopen_clip.add_model_config({str(tiny_clip_file)!r})\n')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=os.pathsep)
    tiny_config.custom_imports = {'imports': ['my_models']}
    tiny_config.default_hooks.results = {'type': 'ResultsHook'}
    path = tmp_path / 'tiny.py'
    path.write_text(tiny_config.pretty_text)
    return path
