from pathlib import Path

import pytest
from helpers.tiny_runs import caption_source

from cmdg_plugin.toolboxes import register_source, train_with_torchreid
from cmdg_plugin.toolboxes.torchreid_training import Recipe


def test_osnet_on_our_data(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A torchreid model learns from our sources and is scored; twice the same seed gives the same scores."""
    for name in ('alpha', 'beta', 'target'):
        register_source(f'trained_{name}', caption_source(name))
    recipe = Recipe(model='osnet_x0_25', epochs=1, image_size=(32, 16), batch_size=8)
    arguments = (recipe, ['trained_alpha', 'trained_beta'], ['trained_target'], str(tiny_data), str(tmp_path))
    scores, again = train_with_torchreid(*arguments), train_with_torchreid(*arguments)
    assert set(scores) == {'trained_target/mAP', 'trained_target/R1', 'average/mAP', 'average/R1'}
    assert scores == again
    assert list(tmp_path.rglob('model.pth.tar-1'))
    assert '# source ids      : 12' in capsys.readouterr().out
