import sys
from pathlib import Path

import publish_model
import pytest
import torch
from mmengine.config import Config

from cmdg_plugin.registry import MODELS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_checkpoint_is_stripped_and_both_sizes_are_said(
    tiny_config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    state = MODELS.build(tiny_config.model).state_dict()
    torch.save(
        {'meta': {'cfg': tiny_config.pretty_text}, 'state_dict': state, 'optimizer': torch.zeros(2**18)}, 'a.pth'
    )
    monkeypatch.setattr(sys, 'argv', ['publish_model.py', 'a.pth', 'out.pth', '--half'])
    publish_model.main()
    (published,) = folder.glob('out-*.pth')
    before, after = (Path(path).stat().st_size for path in ('a.pth', published))
    assert f'a.pth: {before / 2**20:,.1f} MiB' in log.text
    # An optimizer of a MiB is gone, and half of each weight.
    assert after < (before - 2**20) / 1.8
    content = torch.load(published, weights_only=True)
    assert 'optimizer' not in content
    assert content['state_dict']['backbone.norm_shared.weight'].dtype == torch.float16


def test_a_checkpoint_that_runs_code_is_refused_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return Path.touch, (folder / 'hacked',)

    torch.save({'state_dict': {}, 'more': Attack()}, 'a.pth')
    monkeypatch.setattr(sys, 'argv', ['publish_model.py', 'a.pth', 'out.pth'])
    with pytest.raises(SystemExit, match=r'^publish_model\.py: .*could run code'):
        publish_model.main()
    assert [path.name for path in folder.iterdir()] == ['a.pth']
