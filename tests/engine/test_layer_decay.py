import copy
from pathlib import Path
from typing import Any

import pytest
from helpers.small_clips import register_small_clips
from helpers.tiny_runs import different, going_on, set_epochs, train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from cmdg_plugin.engine.layer_decay import LayerDecayConstructor
from cmdg_plugin.models.backbones import TextAwareCLIP

SETTINGS = {
    'type': 'OptimWrapper',
    'constructor': 'LayerDecayConstructor',
    'optimizer': {'type': 'Adam', 'lr': 8.0, 'weight_decay': 0.1},
    'paramwise_cfg': {'layer_decay_rate': 0.5, 'custom_keys': {'classifier': {'lr_mult': 10}, 'ln_1': {'lr_mult': 2}}},
}
BEFORE = ['class_embedding', 'positional_embedding', 'conv1.weight', 'ln_pre.weight', 'ln_pre.bias']
IN_A_BLOCK = [
    *('attn.in_proj_weight', 'attn.in_proj_bias', 'attn.out_proj.weight', 'attn.out_proj.bias'),
    *('ln_2.weight', 'ln_2.bias', 'mlp.c_fc.weight', 'mlp.c_fc.bias', 'mlp.c_proj.weight', 'mlp.c_proj.bias'),
]
AFTER = ['ln_post.weight', 'ln_post.bias', 'proj']
# By hand: 8 after the blocks, half of that in the last of the three, and so on; classifiers and ln_1 as they ask.
RATES = {
    **{f'backbone.clip.visual.{name}': 0.5 for name in BEFORE},
    **{
        f'backbone.clip.visual.transformer.resblocks.{block}.{name}': rate
        for block, rate in ((0, 1.0), (1, 2.0), (2, 4.0))
        for name in IN_A_BLOCK
    },
    **{
        f'backbone.clip.visual.transformer.resblocks.{block}.ln_1.{name}': rate
        for block, rate in ((0, 2.0), (1, 4.0), (2, 8.0))
        for name in ('weight', 'bias')
    },
    **{f'backbone.clip.visual.{name}': 8.0 for name in AFTER},
    **{f'backbone.{norm}.{name}': 8.0 for norm in ('norm_width', 'norm_shared') for name in ('weight', 'bias')},
    'classifier.weight': 80.0,
}


def small_model(folder: Path) -> nn.Module:
    register_small_clips(folder)
    model = nn.Module()
    model.backbone = TextAwareCLIP('cmdg-small-vit')
    model.classifier = nn.Linear(4, 3, bias=False)
    return model


def build(model: nn.Module, settings: dict[str, Any] = SETTINGS) -> Any:
    with DefaultScope.overwrite_default_scope('cmdg_plugin'):
        return build_optim_wrapper(model, copy.deepcopy(settings))


def test_rate_of_every_parameter(tmp_path: Path) -> None:
    model = small_model(tmp_path)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build(model).optimizer.param_groups
    assert {names[id(group['params'][0])]: group['lr'] for group in groups} == RATES
    assert all(len(group['params']) == 1 and group['weight_decay'] == 0.1 for group in groups)
    assert groups[0]['lr'] == 8.0  # what the log shows


def test_frozen_parameters_are_left_out_and_a_rate_of_1_changes_nothing(tmp_path: Path) -> None:
    model = small_model(tmp_path)
    model.backbone.clip.visual.conv1.requires_grad_(False)
    settings = copy.deepcopy(SETTINGS)
    settings['paramwise_cfg']['layer_decay_rate'] = 1
    groups = build(model, settings).optimizer.param_groups
    assert len(groups) == len(RATES) - 1
    assert sorted({group['lr'] for group in groups}) == [8.0, 16.0, 80.0]


@pytest.mark.parametrize('rate', [None, 0, 1.5, True])
def test_wrong_rates_and_other_models_are_named(rate: float | None) -> None:
    settings = {'optimizer': {'type': 'Adam', 'lr': 1.0}}
    with pytest.raises(ValueError, match=f'layer_decay_rate, above 0 and at most 1; it is {rate}'):
        LayerDecayConstructor(settings, {} if rate is None else {'layer_decay_rate': rate})
    with pytest.raises(TypeError, match='a TextAwareCLIP as its backbone, not a Linear'):
        LayerDecayConstructor(settings, {'layer_decay_rate': 0.5})(nn.Linear(2, 2))


class Rates(Hook):
    """Rates of a block's weight and of a classifier, per stage, as its schedule finds them."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[float, ...]] = {}

    def before_stage(self, runner: Runner, stage: Any) -> None:
        names = {id(parameter): name for name, parameter in runner.model.named_parameters()}
        rates = {names[id(g['params'][0])]: g['initial_lr'] for g in runner.optim_wrapper.optimizer.param_groups}
        wanted = ('resblocks.0.ln_1.weight', 'visual.proj', 'classifier_width.weight', 'context')
        self.seen[stage.name] = tuple(rate for end in wanted for name, rate in rates.items() if name.endswith(end))


def test_stages_compose_with_it_and_a_resumed_run_goes_on_exactly(tiny_config: Config) -> None:
    tiny_config.merge_from_dict(
        {
            'optim_wrapper.constructor': 'LayerDecayConstructor',
            'optim_wrapper.paramwise_cfg.layer_decay_rate': 0.5,
            'train_cfg.stages.2.optim_wrapper': {'optimizer': {'lr': 4e-3}},
            'default_hooks.checkpoint.max_keep_ckpts': -1,
        }
    )
    set_epochs(tiny_config, 1, 1, 2)
    rates = Rates()
    whole = train(tiny_config, rates)
    # Two blocks: a quarter in the first. The classifiers' own factor is 1.2.
    assert {name: pytest.approx(seen) for name, seen in rates.seen.items()} == {
        'warmup': (0.25e-3, 1e-3, 1.2e-3),
        'prompt': (3.5e-4,),
        'bridging': (1e-3, 4e-3, 4.8e-3),
    }
    resumed = train(going_on(tiny_config, Path(whole.work_dir) / 'epoch_3.pth'), name='resumed')
    assert not different(resumed.model.state_dict(), whole.model.state_dict())
