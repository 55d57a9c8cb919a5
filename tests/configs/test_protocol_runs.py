"""All protocol configs on tiny copies of the public datasets, in the release's layout, with the toy CLIP."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.cli.command_line import add_shared_arguments, load_config
from cmdg_plugin.registry import MODELS

REPOSITORY = Path(__file__).parents[2]
# The tower of the toy, and an image size that takes no time.
TOY = ('model.backbone.model_name=cmdg-toy-vit', 'model.backbone.pretrained=islands', 'image_size=48x24')
SMALL = (
    'train_dataloader.batch_size=16',
    'num_workers=0',
)

# Training images and people, counted by hand from the miniatures' writers: of Market-1501 16 + 6 + 12 images (neither
# junk nor distractors) and 4 + 3 people, MSMT17 16 + 4 + 8 + 12 and 4 + 4, CUHK03 16 + 6 + 6 and 4 + 3, CUHK02
# 32 + 4 + 4 and 8 + 2, CUHK-SYSU 16 and 4.
EXPECTED = {
    'p1': (34 + 16 + 40 + 28, 7 + 4 + 10 + 7, ['prid', 'grid', 'viper', 'ilids']),
    'p2_market1501': (16 + 16 + 16, 4 + 4 + 4, ['market1501']),
    'p2_msmt17': (16 + 16 + 16, 4 + 4 + 4, ['msmt17']),
    'p2_cuhk03': (16 + 16 + 16, 4 + 4 + 4, ['cuhk03']),
    'p3_market1501': (40 + 16 + 28, 8 + 4 + 7, ['market1501']),
    'p3_msmt17': (34 + 16 + 28, 7 + 4 + 7, ['msmt17']),
    'p3_cuhk03': (34 + 40 + 16, 7 + 8 + 4, ['cuhk03']),
}


def configure(
    protocol: str, data: Path, work: Path, recipe: str = 'cmdg', *more: str, stages: Sequence[int] = (0, 1, 2)
) -> Config:
    """Read a config as tools/train.py does, with one epoch a stage."""
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_shared_arguments(parser)
    config = str(REPOSITORY / f'configs/cmdg/{recipe}_vit-base-p16_{protocol}.py')
    short = (f'train_cfg.stages.{stage}.epochs=1' for stage in stages)
    options = (f'data_root={data}', *TOY, *SMALL, *short, f'experiment_name={work.name}', *more)
    options += (f'train_dataloader.dataset.index_cache={work}.index',)
    found = load_config(parser.parse_args([config, '--work-dir', str(work), '--cfg-options', *options]))
    # Making its text pretty for the log takes longer than the training.
    return Config(found.to_dict(), filename=found.filename, format_python_code=False)


@pytest.mark.slow
@pytest.mark.parametrize('protocol', EXPECTED)
@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_a_protocol_trains_and_evaluates(protocol: str, release_data: Path, tmp_path: Path) -> None:
    images, people, targets = EXPECTED[protocol]
    config = configure(protocol, release_data, tmp_path / protocol)
    with_results = protocol == 'p2_cuhk03'
    if not with_results:
        # Tables, pictures, curves and checkpoints take longer than these trainings; one of seven is enough.
        del config.default_hooks.results
        config.default_hooks.checkpoint = None
    runner = Runner.from_cfg(config)
    runner.train()
    dataset = runner.train_loop.dataset
    assert (len(dataset), dataset.num_identities) == (images, people)
    assert len(runner.model.memory.image) == images
    assert runner.model.memory.filled.all()
    scalars = {name: buffer.current() for name, buffer in runner.message_hub.log_scalars.items()}
    scored = {name.split('/')[1] for name in scalars if name.startswith('val/') and name.endswith('/mAP')}
    assert scored == {*targets, 'average'}
    assert all(0 < scalars[f'val/{target}/mAP'] <= 100 for target in targets)
    # Sets that are evaluated on ten splits have the released one beside their mean.
    assert ('val/average/mAP_released' in scalars) == (protocol == 'p1')
    for stage in ('prompt', 'part', 'soft_identity', 'triplet', 'caption', 'alignment'):
        assert np.isfinite(scalars[f'train/loss_{stage}']), stage
    if with_results:
        assert 'cuhk03' in (tmp_path / protocol / 'results.md').read_text()
        assert (tmp_path / protocol / 'epoch_3.pth').is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_recipe_full_trains_on_a_protocol(release_data: Path, tmp_path: Path) -> None:
    start = 'model.losses.bridging.0.start_epoch=0'
    config = configure('p2_market1501', release_data, tmp_path / 'full', 'cmdg-full', start)
    del config.default_hooks.results
    config.default_hooks.checkpoint = None
    runner = Runner.from_cfg(config)
    runner.train()
    scalars = {name: buffer.current() for name, buffer in runner.message_hub.log_scalars.items()}
    assert scalars['train/neighbors/text_same_identity'] == 0
    assert scalars['train/neighbors/text_cross_domain'] == 1
    assert 0 <= scalars['train/neighbors/agreement'] <= 1
    assert np.isfinite(scalars['train/loss_part'])
    assert runner.model.backbone.clip.visual.part_tokens.offsets.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_recipe_strong_trains_on_a_protocol(release_data: Path, tmp_path: Path) -> None:
    options = ('custom_hooks.WeightAveragingHook.start_epoch=0', 'custom_hooks.WeightAveragingHook.alpha=0.5')
    config = configure('p2_msmt17', release_data, tmp_path / 'strong', 'cmdg-strong', *options, stages=[0])
    del config.default_hooks.results
    runner = Runner.from_cfg(config)
    runner.train()
    scalars = {name: buffer.current() for name, buffer in runner.message_hub.log_scalars.items()}
    assert 0 < scalars['val/msmt17/mAP'] <= 100
    assert np.isfinite(scalars['train/loss_caption'])
    saved = torch.load(tmp_path / 'strong/epoch_1.pth', weights_only=True)
    name = 'backbone.clip.visual.proj'
    pretrained = MODELS.build({**config.model.backbone, '_scope_': 'cmdg_plugin'}).state_dict()[
        name.removeprefix('backbone.')
    ]
    way, half = saved['plain_weights'][name] - pretrained, saved['state_dict'][name] - pretrained
    assert 0 < half.norm() < way.norm()
