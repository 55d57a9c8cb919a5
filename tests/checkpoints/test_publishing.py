import copy
import hashlib
from pathlib import Path

import pytest
import torch
from helpers.tiny_runs import train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.checkpoints.publishing import publish_model, strip_checkpoint


def scores(config: Config, checkpoint: Path) -> dict[str, float]:
    config = copy.deepcopy(config)
    config.experiment_name = f'{config.experiment_name}_{checkpoint.stem}'
    config.load_from = str(checkpoint)
    return Runner.from_cfg(config).test()


def test_published_model_scores_as_the_whole_checkpoint_and_is_smaller(
    tiny_config: Config, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    published = publish_model(tiny_checkpoint, tmp_path / 'out' / 'tiny.pth')
    assert published.name == f'tiny-{hashlib.sha256(published.read_bytes()).hexdigest()[:8]}.pth'
    assert published.stat().st_size < tiny_checkpoint.stat().st_size
    content = torch.load(published, weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    assert all(name.startswith('backbone.') for name in content['state_dict'])
    assert 'CMDGReID' in content['meta']['cfg']
    assert scores(tiny_config, published) == scores(tiny_config, tiny_checkpoint)


def test_training_on_other_people_starts_from_published_towers(
    tiny_config: Config, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    config = tiny_config
    config.load_from = str(publish_model(tiny_checkpoint, tmp_path / 'tiny.pth'))
    config.train_dataloader.dataset.sources = config.train_dataloader.dataset.sources[:1]
    config.train_cfg.val_before_training = True
    first: dict[str, torch.Tensor] = {}

    class Recorder(Hook):
        def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
            first.update({} if first else {n: v.clone() for n, v in runner.model.backbone.state_dict().items()})

    runner = train(config, Recorder(), name='others')
    towers = torch.load(config.load_from, weights_only=True)['state_dict']
    assert towers
    assert all(torch.equal(first[name.removeprefix('backbone.')], value) for name, value in towers.items())
    weights = torch.load(tiny_checkpoint, weights_only=False)['state_dict']['head.classifier_width.weight']
    assert 0 < len(runner.model.head.classifier_width.weight) < len(weights)


def test_half_precision_halves_the_weights() -> None:
    checkpoint = {
        'state_dict': {'backbone.a': torch.randn(3), 'backbone.count': torch.tensor(3), 'head.b': torch.ones(2)}
    }
    kept = strip_checkpoint(checkpoint, half=True)['state_dict']
    assert {name: value.dtype for name, value in kept.items()} == {
        'backbone.a': torch.float16,
        'backbone.count': torch.int64,
    }


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'No checkpoint at .*none\.pth'):
        publish_model(tmp_path / 'none.pth', tmp_path / 'out.pth')
    with pytest.raises(ValueError, match='weights of a CMDGReID model'):
        strip_checkpoint({'state_dict': {'conv1.weight': torch.ones(1)}})
