"""The baselines: each config trains on tiny data, reads no caption, and differs from CMDG's only where it says."""

import inspect
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_runs import different, going_on, on_tiny_data, train
from mmengine.config import Config

from cmdg_plugin.checkpoints.publishing import strip_checkpoint
from cmdg_plugin.datasets.samplers import HardIdentitySampler

REPOSITORY = Path(__file__).parents[2]
BASELINES = sorted((REPOSITORY / 'configs/baselines').glob('*.py'))
IMAGE_STAGES = ('warmup', 'bridging')
SOFT_TRIPLET = {'type': 'BatchHardTripletLoss', 'margin': None}


@pytest.mark.parametrize('path', BASELINES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_a_baseline_trains_without_captions(path: Path, tiny_config: Config) -> None:
    config = on_tiny_data(Config.fromfile(path), tiny_config)
    config.default_hooks.checkpoint = None
    for stage in config.train_cfg.stages:
        sampler = stage.get('train_dataloader', {}).get('sampler', {})
        if 'num_draws' in sampler:  # As protocol 1 has them: hundreds of batches.
            sampler.num_draws = 16
    runner = train(config)
    model = runner.model
    assert model.stages['bridging'].caption_global is None
    # PAT's bank holds images alone.
    assert model.memory is None or ('pat_' in path.name and not model.memory.text.any())
    scalars = {name: buffer.current() for name, buffer in runner.message_hub.log_scalars.items()}
    assert 0 < scalars['val/average/mAP'] <= 100
    last = config.train_cfg.stages[-1].name
    for term in config.model.losses[last]:
        assert np.isfinite(scalars[f'train/loss_{term.name}']), term.name


@pytest.mark.parametrize('data', ['toy-vit_islands', 'vit-base-p16_p1'])
@pytest.mark.parametrize('baseline', ['id-only', 'clip-reid', 'cilp-fgdi', 'pat', 'dsm-clip'])
def test_a_baseline_has_the_data_and_the_image_epochs_of_cmdg(baseline: str, data: str) -> None:
    ours = Config.fromfile(REPOSITORY / f'configs/cmdg/cmdg_{data}.py')
    config = Config.fromfile(REPOSITORY / f'configs/baselines/{baseline}_{data}.py')
    same = ('train_dataloader', 'val_dataloader', 'val_evaluator', 'optim_wrapper', 'default_hooks', 'randomness')
    if (baseline, data) == ('dsm-clip', 'vit-base-p16_p1'):
        assert config.train_dataloader.pop('batch_size') == 128
        assert ours.train_dataloader.pop('batch_size') == 64
    assert all(config[key] == ours[key] for key in same)
    parts = {'part_attention': True} if baseline == 'pat' else {}
    assert config.model.backbone == {**ours.model.backbone, **parts}
    epochs = [
        sum(stage.epochs for stage in each.train_cfg.stages if stage.name in IMAGE_STAGES) for each in (config, ours)
    ]
    assert epochs[0] == epochs[1]
    prompt_epochs = [stage.epochs for stage in config.train_cfg.stages if stage.name == 'prompt']
    assert prompt_epochs == ([] if baseline in ('id-only', 'pat') else [ours.train_cfg.stages[1].epochs])


@pytest.mark.parametrize(('data', 'scale'), [('toy-vit_islands', 0.02 * 512 / 96), ('vit-base-p16_p1', 0.02)])
def test_pat_has_the_numbers_of_its_authors(data: str, scale: float) -> None:
    """Their config/defaults.py, config/PAT.yml and the default momentum of their bank."""
    config = Config.fromfile(REPOSITORY / f'configs/baselines/pat_{data}.py').to_dict()
    assert [stage['name'] for stage in config['train_cfg']['stages']] == ['bridging']
    assert config['model']['memory']['momentum'] == 0.1
    (part, *others) = config['model']['losses'].pop('bridging')
    assert not config['model']['losses']
    part = {key: value for key, value in part.items() if key not in ('name', 'outputs')}
    assert part == {'type': 'PartNeighborLoss', 'num_neighbors': 10, 'scale': scale}
    soft = {'type': 'SoftIdentityLoss', 'smoothing': 0.1, 'soft_weight': 0.5, 'soft_ratio': 0.5}
    found = {term.pop('name'): (term.pop('inputs'), term) for term in others}
    for name in ('width', 'shared'):
        assert found[f'id_{name}'] == ({'logits': f'logits_{name}', 'neighbors': 'neighbors', 'bank': 'bank'}, soft)
        assert found[f'triplet_{name}'] == ({'features': f'global_{name}'}, SOFT_TRIPLET)
    assert found['triplet_token'] == ({'features': 'last_block_token'}, SOFT_TRIPLET)
    assert len(found) == 5


@pytest.mark.parametrize(('data', 'batches'), [('toy-vit_islands', {}), ('vit-base-p16_p1', {'num_draws': 24320})])
def test_dsm_clip_has_the_numbers_of_its_authors(data: str, batches: dict[str, int]) -> None:
    """Their run.py and sampler.py; the temperature is Cluster Contrast's, as their memory is not published."""
    config = Config.fromfile(REPOSITORY / f'configs/baselines/dsm-clip_{data}.py').to_dict()
    prompt, image = config['train_cfg']['stages']
    assert (prompt['name'], image['name']) == ('prompt', 'bridging')
    sampler = {**config['train_dataloader']['sampler'], **image['train_dataloader']['sampler']}
    assert sampler == {'type': 'HardIdentitySampler', 'num_instances': 4, 'text': 'prompts', **batches}
    assert inspect.signature(HardIdentitySampler).parameters['text_weight'].default == 1
    *terms, memory = config['model']['losses']['bridging']
    assert memory.pop('name')
    assert memory == {
        'type': 'IdentityMemoryLoss',
        'temperature': 0.05,
        'momentum': 0.2,
        'start': 'prompts',
        'inputs': {'features': 'global_shared'},
    }
    found = {term.pop('name'): (term.pop('inputs'), term) for term in terms}
    smooth = {'type': 'SoftIdentityLoss', 'smoothing': 0.1}
    for name in ('width', 'shared'):
        assert found[f'id_{name}'] == ({'logits': f'logits_{name}'}, smooth)
        assert found[f'triplet_{name}'] == ({'features': f'global_{name}'}, SOFT_TRIPLET)
    assert len(found) == 4


def test_a_run_with_a_term_that_has_parameters_resumes_to_the_same_bits(tiny_config: Config) -> None:
    """Two epochs of each of CILP-FGDI's stages; the domain classifier trains in the third and fourth."""
    path = REPOSITORY / 'configs/baselines/cilp-fgdi_toy-vit_islands.py'
    config = on_tiny_data(Config.fromfile(path), tiny_config, epochs=2)
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    whole = train(config)
    expected = whole.model.state_dict()
    folder = Path(whole.work_dir)
    saved = [torch.load(folder / f'epoch_{epoch}.pth', weights_only=True) for epoch in (2, 3, 4)]
    moved = [different(later['state_dict'], earlier['state_dict']) for earlier, later in pairwise(saved)]
    for names in moved:
        assert {name.split('.')[0] for name in names} == {'prompts', 'losses'}
        assert {'prompts.context', 'prompts.domain_context'} <= set(names)
        assert len([name for name in names if name.startswith('losses.prompt.losses.loss_domain.classifier')]) == 6
    assert all(name.startswith('backbone.') for name in strip_checkpoint(saved[-1])['state_dict'])
    for epoch in (3, 4, 5):
        resumed = train(going_on(config, folder / f'epoch_{epoch}.pth'), name=f'from_{epoch}')
        assert not different(resumed.model.state_dict(), expected)
