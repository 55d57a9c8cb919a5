"""Configs for text search, through tools/test.py as a user runs it, on miniatures in the datasets' real layouts."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tools import run_here
from mmengine.config import Config

from cmdg_plugin.apis import encode_text, extract_features, init_model
from cmdg_plugin.datasets import load_sentences

REPOSITORY = Path(__file__).parents[2]
Run = Callable[..., tuple[str, dict[str, float]]]
TOY = ('model.backbone.model_name=cmdg-toy-vit', 'model.backbone.pretrained=islands', 'image_size=48x24')
FILES = {
    'cuhk-pedes': 'CUHK-PEDES/reid_raw.json',
    'icfg-pedes': 'ICFG-PEDES/ICFG-PEDES.json',
    'rstpreid': 'RSTPReid/data_captions.json',
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a tool on a config as a user does, but in this process; returns what was said, and the scores."""

    def run_tool(config: str, *arguments: object, options: tuple[str, ...] = ()) -> tuple[str, dict[str, float]]:
        out = tmp_path / 'scores.json'
        words = ['tools/test.py', f'configs/text_search/{config}.py', *map(str, arguments)]
        words += ['--work-dir', str(tmp_path), '--out', str(out), '--out-item', 'metrics', '--cfg-options']
        monkeypatch.setattr(sys, 'argv', [*words, f'experiment_name={tmp_path.name}', *options])
        monkeypatch.chdir(REPOSITORY)
        runpy.run_path('tools/test.py', run_name='__main__')
        captured = capsys.readouterr()
        return captured.out + captured.err, json.loads(out.read_text())

    return run_tool


def score_by_hand(similarity: np.ndarray, asking: list[int | None], shown: list[int | None]) -> dict[str, float]:
    """mAP, R1 and mINP from the definitions, a query at a time."""
    precisions, firsts, penalties = [], [], []
    for row, person in zip(similarity, asking, strict=True):
        ranks = [rank for rank, image in enumerate(np.argsort(-row, kind='stable'), start=1) if shown[image] == person]
        precisions.append(np.mean([found / rank for found, rank in enumerate(ranks, start=1)]))
        firsts.append(ranks[0] == 1)
        penalties.append(len(ranks) / ranks[-1])
    return {'mAP': 100 * np.mean(precisions), 'R1': 100 * np.mean(firsts), 'mINP': 100 * np.mean(penalties)}


@pytest.mark.parametrize('name', FILES)
@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_public_datasets(name: str, run: Run, miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_text_miniature(tmp_path, name)
    options = (*TOY, f'data_root={tmp_path}', 'num_workers=0')
    said, scores = run(f'cmdg_vit-base-p16_{name}', options=options)
    records = [record for record in load_sentences(tmp_path / FILES[name]) if record.split == 'gallery']
    asked = sum(len(record.captions or ()) for record in records)
    assert f'{name}: {asked} sentences ask, {len(records)} gallery' in said
    assert 'scores of the weights that training begins with' in said
    assert 'overlaps' not in scores  # no checkpoint, nothing that it was trained on

    config = Config.fromfile(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py')
    config.model.backbone.image_size = (48, 24)
    config.test_dataloader.dataset.pipeline[1].scale = (24, 48)
    model = init_model(config, device='cpu')
    folder = (tmp_path / FILES[name]).parent / 'imgs'
    images = extract_features(model, [str(folder / each.file_path) for each in records], space='shared', progress=False)
    asking = [(each.identity, sentence) for each in records for sentence in each.captions]
    sentences = encode_text(model, [sentence for _, sentence in asking])
    people = [person for person, _ in asking]
    expected = score_by_hand((sentences @ images.T).numpy(), people, [each.identity for each in records])
    assert {score: scores[f'{name}/{score}'] for score in expected} == pytest.approx(expected, abs=1e-3)


def checkpoint(path: Path, config: Config | None) -> Path:
    """The toy's own weights as a checkpoint of a run with some config."""
    model = init_model(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py', device='cpu')
    meta: dict[str, Any] = {} if config is None else {'cfg': config.pretty_text}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
    return path


@pytest.mark.parametrize(
    ('trained', 'mark'),
    [
        ('p1', 'shares images with cuhk02, cuhk03, cuhksysu, market1501, which the model was trained on'),
        (None, 'holds images of cuhk01, cuhk03, cuhksysu, market1501, viper; whether the model was trained on them'),
    ],
)
def test_a_leak_is_said_where_the_scores_are(
    trained: str | None, mark: str, run: Run, miniatures: ModuleType, tmp_path: Path
) -> None:
    miniatures.write_text_miniature(tmp_path, 'cuhk-pedes')
    own = None if trained is None else Config.fromfile(REPOSITORY / f'configs/cmdg/cmdg_vit-base-p16_{trained}.py')
    weights = checkpoint(tmp_path / 'weights.pth', own)
    options = (*TOY[:2], 'image_size=96x48', f'data_root={tmp_path}', 'num_workers=0')
    said, scores = run('cmdg_vit-base-p16_cuhk-pedes', weights, options=options)
    assert '\ncuhk-pedes *' in said
    assert f'* cuhk-pedes: {mark}' in said
    assert scores['overlaps']['cuhk-pedes'].startswith(mark)


def test_captions_of_own_images(run: Run, miniatures: ModuleType, tmp_path: Path) -> None:
    """A caption file of the released format; parts ask, too; re-ranked; pictures of what was asked."""
    records = []
    for person in range(1, 5):
        for shot in range(2):
            path = f'{("query", "gallery")[shot]}/{person}_{shot}.jpg'
            miniatures.draw(tmp_path / path, person, shot)
            records.append(miniatures.describe(person, path, identity=person, split=('query', 'gallery')[shot]))
    (tmp_path / 'captions.json').write_text(json.dumps(records))
    target = {'type': 'OwnSource', 'name': 'shop', 'path': str(tmp_path / 'captions.json')}
    options = (
        f'test_dataloader.dataset.targets:={[target]}',
        "test_dataloader.dataset.regions:=['global', 'lower']",
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
    )
    arguments = ('--rerank', '--show-dir', tmp_path / 'shown')
    said, scores = run('cmdg_toy-vit_islands-captions', *arguments, options=options)
    assert 'shop: 16 sentences ask, 8 gallery images.' in said
    assert 0 < scores['shop/mAP'] <= 100
    assert 'shop/mAP_rerank' in scores
    assert len(list((tmp_path / 'shown').glob('shop_*_text.png'))) == 10


def test_islands_asks_by_its_unseen_domains() -> None:
    config = Config.fromfile(REPOSITORY / 'configs/text_search/cmdg_toy-vit_islands-captions.py')
    dataset = config.test_dataloader.dataset
    assert dataset.type == 'TextSearchSet'
    assert [target.domain for target in dataset.targets] == ['metro', 'alpine']
    assert config.get('train_cfg') is None


def test_these_configs_train_nothing(tmp_path: Path) -> None:
    config = REPOSITORY / 'configs/text_search/cmdg_toy-vit_islands-captions.py'
    ended = run_here('train.py', config, '--work-dir', tmp_path)
    assert ended.returncode == 1
    assert f'train.py: {config} trains nothing: it has no train_cfg.' in ended.stderr
    assert 'Traceback (most' not in ended.stderr
