"""What a place of a config takes, and what a typo in a config file gets to hear."""

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from cmdg_plugin.cli.known_arguments import check_arguments, list_arguments

CONFIGS = Path(__file__).parents[2] / 'configs'
TOY = CONFIGS / 'cmdg/cmdg_toy-vit_islands.py'


@pytest.mark.parametrize(
    'path', [*CONFIGS.glob('cmdg/*.py'), *CONFIGS.glob('baselines/*.py')], ids=lambda path: path.stem
)
def test_shipped_configs_pass(path: Path) -> None:
    check_arguments(Config.fromfile(path).to_dict())


def test_projects_in_another_scope_pass() -> None:
    for path in (CONFIGS.parent / 'projects/mmpretrain_reid/configs').glob('[cr]*.py'):
        check_arguments(Config.fromfile(path).to_dict())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'optim_wrapper.optimizer.weightdecay': 1},
            r'optimizer\.weightdecay, which Adam does not take \(did',
        ),
        (
            {'optim_wrapper.optimizer.type': 'Adma'},
            r"optimizer\.type='Adma': there is no such optimizer \(did you mean Adam",
        ),
        ({'model.backbone.type': 'TextAwareClip'}, r'there is no such model \(did you mean TextAwareCLIP\?\)'),
        ({'model.backbon': {}}, r'model\.backbon, which CMDGReID does not take \(did you mean backbone\?\)'),
        (
            {'train_dataloader.batchsize': 3},
            r'train_dataloader\.batchsize, which .*did you mean batch_size',
        ),
        ({'train_dataloader.dataset.sources.1.rot': 3}, r'sources\.1\.rot, which IslandsSource does not take'),
        ({'train_dataloader.dataset.pipeline.1.type': 'mmpretrain.Resise'}, r'pipeline\.1\.type=.*did you mean Resize'),
        ({'custom_hooks.0.batchsize': 3}, r'custom_hooks\.0\.batchsize, which PromptLearningHook does not take'),
        ({'train_cfg.val_intreval': 3}, r'train_cfg\.val_intreval, which StagedTrainLoop does not take'),
        ({'train_cfg.stages.0.epoch': 3}, r'train_cfg\.stages\.0\.epoch, which .*did you mean epochs'),
        ({'test_evaluator.num_queries': 3}, r'test_evaluator\.num_queries, which ReIDMetric does not take'),
    ],
)
def test_typos_in_config_files_are_named_with_their_place(changes: dict[str, Any], message: str) -> None:
    config = Config.fromfile(TOY)
    config.merge_from_dict(changes)
    with pytest.raises(ValueError, match=message):
        check_arguments(config.to_dict())


def test_arguments_that_a_class_passes_on_count() -> None:
    known = list_arguments(['custom_hooks', '0'], {'type': 'DomainBridgingHook'}, 'cmdg_plugin')
    assert known is not None
    assert {'pipeline', 'batch_size', 'priority', 'type'} <= set(known)
    assert list_arguments(['model', 'losses'], {'type': 'X'}, 'cmdg_plugin') is None
    assert list_arguments(['my_own'], {'type': 'Adam'}, 'cmdg_plugin') is None
