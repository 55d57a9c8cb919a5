"""torchreid's engine against our own metric, on the same checkpoint."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers.tiny_runs import caption_source
from PIL import Image

from cmdg_plugin.apis import extract_features
from cmdg_plugin.datasets import ReIDEvaluationSet
from cmdg_plugin.evaluation.target_scores import rank_target
from cmdg_plugin.files.images import IMAGE_SUFFIXES
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.toolboxes import evaluate_with_torchreid, register_source


def make_hard(root: Path) -> None:
    """Replace all images by noise: nobody is found at once, and no two distances are the same."""
    rng = np.random.default_rng(5)
    for path in sorted(root.rglob('*')):
        if path.suffix in IMAGE_SUFFIXES:
            Image.fromarray(rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)).save(path)


def score_ourselves(model: CMDGReID, source: dict) -> dict[str, float]:
    (target,) = ReIDEvaluationSet([source]).targets
    features = extract_features(model, target.paths, progress=False).numpy()
    return rank_target(features, target)[0]


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        *(('release', name) for name in ('market1501', 'msmt17', 'cuhk03', 'cuhk02', 'prid', 'grid', 'viper', 'ilids')),
        *(('torchreid', name) for name in ('msmt17', 'cuhk03', 'ilids')),
    ],
)
def test_scores_of_miniatures_are_ours(
    tiny_model: CMDGReID,
    miniatures: ModuleType,
    tmp_path: Path,
    name: str,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    miniatures.write_miniature(tmp_path, name, kind)
    make_hard(tmp_path)
    theirs = evaluate_with_torchreid(tiny_model, [f'cmdg_{name}'], str(tmp_path), batch_size=7)
    ours = score_ourselves(tiny_model, {'type': 'BenchmarkSource', 'name': name, 'data_root': str(tmp_path)})
    for score in ('mAP', 'R1'):
        assert theirs[f'cmdg_{name}/{score}'] / 100 == pytest.approx(ours[score] / 100, abs=1e-6)
        assert theirs[f'average/{score}'] == theirs[f'cmdg_{name}/{score}']
    assert 0 < ours['mAP'] < 100


def test_flip_averaging_reaches_both_metrics(
    tiny_model: CMDGReID,
    miniatures: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    miniatures.write_miniature(tmp_path, 'market1501', 'release')
    make_hard(tmp_path)
    source = {'type': 'BenchmarkSource', 'name': 'market1501', 'data_root': str(tmp_path)}
    plain = score_ourselves(tiny_model, source)
    monkeypatch.setattr(tiny_model, 'flip_test', True)
    theirs = evaluate_with_torchreid(tiny_model, ['cmdg_market1501'], str(tmp_path), batch_size=7)
    ours = score_ourselves(tiny_model, source)
    assert theirs['cmdg_market1501/mAP'] == pytest.approx(ours['mAP'], abs=1e-4)
    assert ours['mAP'] != plain['mAP']


@pytest.mark.parametrize('name', ['market1501', 'cuhk02'])
def test_torchreids_own_readers(
    tiny_model: CMDGReID, miniatures: ModuleType, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    miniatures.write_miniature(tmp_path, name, 'torchreid')
    make_hard(tmp_path)
    theirs = evaluate_with_torchreid(tiny_model, [name], str(tmp_path))
    ours = score_ourselves(tiny_model, {'type': 'BenchmarkSource', 'name': name, 'data_root': str(tmp_path)})
    assert theirs[f'{name}/mAP'] / 100 == pytest.approx(ours['mAP'] / 100, abs=1e-6)
    assert 'target' in capsys.readouterr().out


def test_pictures(tiny_model: CMDGReID, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register_source('pictures', caption_source('target'))
    evaluate_with_torchreid(tiny_model, ['pictures'], str(tiny_data), show_dir=str(tmp_path))
    drawn = sorted(path.name for path in (tmp_path / 'visrank_pictures').iterdir())
    assert drawn == sorted(f'{path.stem}.jpg' for path in (tiny_data / 'target/query').iterdir())


def test_unknown_target(tiny_model: CMDGReID, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match='moon'):
        evaluate_with_torchreid(tiny_model, ['moon'], str(tmp_path))
