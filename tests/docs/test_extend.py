"""The page on extensions is a whole example: its files, written where it says, train."""

import copy
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_runs import different, going_on, on_tiny_data, train
from mmengine.config import Config

REPOSITORY = Path(__file__).parents[2]
NAMED_BLOCK = re.compile(r'^<!-- file: (\S+) -->\n```python\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the page's files."""
    page = (REPOSITORY / 'docs/extend.md').read_text(encoding='utf-8')
    files = dict(NAMED_BLOCK.findall(page))
    assert page.count('```python') == len(files) == 4
    assert all(len(text.splitlines()) < 40 for text in files.values())
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding='utf-8')
    (tmp_path / 'configs').symlink_to(REPOSITORY / 'configs')
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ('my_losses', 'my_stage'):
        sys.modules.pop(name, None)


def test_the_new_terms_train_and_resume(folder: Path, tiny_config: Config) -> None:
    config = on_tiny_data(Config.fromfile(folder / 'my_config.py'), tiny_config)
    config.train_cfg.stages[2].epochs = 2
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    runner = train(config)
    scalars = {name: buffer.current() for name, buffer in runner.message_hub.log_scalars.items()}
    for term in ('part', 'soft_identity', 'spread', 'center'):
        assert np.isfinite(scalars[f'train/loss_{term}']), term
    centers = runner.model.losses['bridging'].losses['loss_center'].centers
    assert centers.shape == (2, 16)
    assert centers.abs().min() > 0
    again = train(going_on(config, f'{runner.work_dir}/epoch_3.pth'), name='again')
    assert torch.equal(again.model.losses['bridging'].losses['loss_center'].centers, centers)


@pytest.fixture
def with_stage(folder: Path, tiny_config: Config) -> Config:
    """The page's config with a stage of its own, on tiny data."""
    example = Config.fromfile(folder / 'my_stage_config.py')
    config = on_tiny_data(example, tiny_config)
    config.custom_hooks = [{**tiny_config.custom_hooks[0], **_without_pipeline(hook)} for hook in example.custom_hooks]
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    return config


def _without_pipeline(hook: dict) -> dict:
    return {key: value for key, value in hook.items() if key not in ('pipeline', 'num_workers')}


def test_the_new_stage_trains_before_the_others_and_resumes(with_stage: Config) -> None:
    wrong = copy.deepcopy(with_stage)
    wrong.model.losses.captions[0]['inputs'] = {'text': 'captions'}
    with pytest.raises(ValueError, match="reads the field 'captions', but there are only: image, text"):
        train(wrong)
    runner = train(with_stage)
    assert np.isfinite(runner.message_hub.log_scalars['train/loss_alignment'].data[0]).all()
    again = train(going_on(with_stage, f'{runner.work_dir}/epoch_1.pth'), name='again')
    assert not different(again.model.state_dict(), runner.model.state_dict())
