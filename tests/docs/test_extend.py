"""The page on extensions is a whole example: its files, written where it says, train."""

import copy
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_runs import on_tiny_data
from mmengine.config import Config
from mmengine.runner import Runner

REPOSITORY = Path(__file__).parents[2]
NAMED_BLOCK = re.compile(r'^<!-- file: (\S+) -->\n```python\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Write the page's files; returns its config."""
    page = (REPOSITORY / 'docs/extend.md').read_text(encoding='utf-8')
    files = dict(NAMED_BLOCK.findall(page))
    assert page.count('```python') == len(files) == 2
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding='utf-8')
    (tmp_path / 'configs').symlink_to(REPOSITORY / 'configs')
    monkeypatch.syspath_prepend(tmp_path)
    yield Config.fromfile(tmp_path / 'my_config.py')
    sys.modules.pop('my_losses', None)


def test_the_new_terms_train_and_resume(example: Config, tiny_config: Config):
    config = on_tiny_data(example, tiny_config)
    config.train_cfg.stages[2].epochs = 2
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    runner = Runner.from_cfg(copy.deepcopy(config))
    runner.train()
    scalars = {name: buffer.current() for name, buffer in runner.message_hub.log_scalars.items()}
    for term in ('part', 'soft_identity', 'spread', 'center'):
        assert np.isfinite(scalars[f'train/loss_{term}']), term
    centers = runner.model.losses['bridging'].losses['loss_center'].centers
    assert centers.shape == (2, 16)
    assert centers.abs().min() > 0
    config.resume, config.load_from = True, str(Path(runner.work_dir) / 'epoch_3.pth')
    config.work_dir, config.experiment_name = f'{config.work_dir}_again', f'{config.experiment_name}_again'
    again = Runner.from_cfg(config)
    again.train()
    assert torch.equal(again.model.losses['bridging'].losses['loss_center'].centers, centers)
