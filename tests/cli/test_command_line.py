import argparse
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.cli.command_line import (
    add_shared_arguments,
    load_config,
    read_config,
    train_in_mixed_precision,
)
from cmdg_plugin.cli.option_values import OptionText

REPOSITORY = Path(__file__).parents[2]
TOY = str(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py')


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_shared_arguments(parser)
    return parser.parse_args([TOY, *arguments])


def test_work_dir_comes_from_the_arguments_or_the_configs_name() -> None:
    assert load_config(parse()).work_dir == 'work_dirs/cmdg_toy-vit_islands'
    assert load_config(parse('--work-dir', 'elsewhere')).work_dir == 'elsewhere'


def test_options_reach_single_stages() -> None:
    config = load_config(parse('--cfg-options', 'train_cfg.stages.0.epochs=1'))
    assert config.train_cfg.stages[0].epochs == 1


def test_mixed_precision_lies_under_the_options() -> None:
    for arguments, expected in (
        ((), ('OptimWrapper', None)),
        (('--amp',), ('AmpOptimWrapper', None)),
        (('--amp', '--cfg-options', 'optim_wrapper.dtype=bfloat16'), ('AmpOptimWrapper', 'bfloat16')),
        (('--amp', '--cfg-options', 'optim_wrapper.type=OptimWrapper'), ('OptimWrapper', None)),
    ):
        args = parse(*arguments)
        train_in_mixed_precision(args)
        wrapper = load_config(args).optim_wrapper
        assert (wrapper.type, wrapper.get('dtype')) == expected


def test_options_reach_entries_of_lists_by_name() -> None:
    options = ('train_cfg.stages.prompt.epochs=1', 'model.losses.bridging.triplet.weight=0')
    config = load_config(parse('--cfg-options', *options))
    assert [stage.epochs for stage in config.train_cfg.stages] == [10, 1, 8]
    assert [term.name for term in config.model.losses.bridging if term.get('weight') == 0] == ['triplet']


def test_data_root_reaches_every_path_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CMDG_DATA_ROOT', '/elsewhere')
    for arguments, root in ((('--cfg-options', 'data_root=/somewhere'), '/somewhere'), ((), '/elsewhere')):
        config = load_config(parse(*arguments))
        sources = [*config.train_dataloader.dataset.sources, *config.test_dataloader.dataset.targets]
        assert {source.root for source in sources} == {f'{root}/islands'}
        assert config.data_root == f'{root}/islands'
    # An option is for one run; the caller's environment stays as it was.
    assert os.environ['CMDG_DATA_ROOT'] == '/elsewhere'


def test_options_that_files_compute_with_reach_every_place(tmp_path: Path) -> None:
    base, child = tmp_path / 'base.py', tmp_path / 'child.py'
    base.write_text("size = int('{{$CMDG_SIZE:3}}')\nmodel = dict(sizes=[size, 2 * size])\nlog_level = 'INFO'\n")
    child.write_text("_base_ = ['./base.py']\nheight = model_height = int('{{$CMDG_SIZE:3}}') + 1\n")
    arguments = parse('--cfg-options', 'size=5', 'log_level=DEBUG')
    arguments.config = str(child)
    config = load_config(arguments)
    assert (config.size, config.model.sizes, config.height, config.log_level) == (5, [5, 10], 6, 'DEBUG')
    assert not [name for name in os.environ if name in ('CMDG_SIZE', 'CMDG_LOG_LEVEL')]


@pytest.mark.parametrize(
    'option',
    [
        'train_cfg.val_interval=1',
        'train_dataloader.prefetch_factor=4',
        'optim_wrapper.clip_grad.max_norm=1.0',
        'optim_wrapper.accumulative_counts=2',
        'train_cfg.stages.warmup.optim_wrapper.optimizer.lr=1e-3',
        'model.backbone.compile.mode=default',
        'randomness.deterministic=True',
        'env_cfg.dist_cfg.backend=gloo',
        'val_cfg.fp16=True',
        'default_hooks.logger.interval=1',
        'custom_hooks.0.priority=LOW',
        'visualizer.vis_backends.0.type=TensorboardVisBackend',
        'val_dataloader=None',
        'experiment_name=0012',
        'optim_wrapper.optimizer.betas=(0.9,0.99)',
    ],
)
def test_settings_that_something_reads_may_be_added(option: str) -> None:
    load_config(parse('--cfg-options', option))


def test_single_values_of_lists_and_tuples_are_replaced() -> None:
    pipeline = 'train_dataloader.dataset.pipeline'
    options = ('train_cfg.stages.warmup.trainable.0=a,b', f'{pipeline}.1.scale.0=7', f'{pipeline}.4.meta_keys.1=x')
    config = load_config(parse('--cfg-options', *options))
    assert config.train_cfg.stages[0].trainable[:2] == ['a,b', 'head']
    assert config.train_dataloader.dataset.pipeline[1].scale == (7, 96)
    assert config.train_dataloader.dataset.pipeline[4].meta_keys == ('img_path', 'x')
    with pytest.raises(ValueError, match='cannot be laid over one another'):
        load_config(parse('--cfg-options', 'val_cfg=None', 'val_cfg.fp16=True'))


def _keys(node: Any, place: str = '') -> Iterator[str]:
    for name, inner in node.items() if isinstance(node, dict) else enumerate(node):
        yield f'{place}{name}'
        if isinstance(inner, (dict, list, tuple)):
            yield from _keys(inner, f'{place}{name}.')


def test_whatever_is_typed_is_taken_or_refused_in_words() -> None:
    draw = random.Random(0)
    keys = list(_keys(read_config(TOY).to_dict()))
    taken = 0
    for _ in range(60):
        key = draw.choice(keys)
        if draw.random() < 0.5:
            at = draw.randrange(len(key))
            key = key[:at] + draw.choice('abxyz.:1') + key[at + draw.randint(0, 1) :]
        text = ''.join(draw.choices('abc019.,[](){}\'"\\= :-eNone', k=draw.randint(0, 8)))
        with suppress(ValueError):
            read_config(TOY, {key: OptionText(text)})
            taken += 1
    assert 5 < taken < 55


def test_missing_config_is_named() -> None:
    arguments = parse()
    arguments.config = 'nowhere.py'
    with pytest.raises(FileNotFoundError, match=r'nowhere\.py'):
        load_config(arguments)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('trian_cfg.x=1', r'the config has no trian_cfg \(did you mean train_cfg\?\)'),
        ('image_size=96x96', 'so a change comes too late'),
        ('auto_scale_lr.enabled=True', r'auto_scale_lr has no enabled \(did you mean enable\?\)'),
        ('batch_size=8', r'no batch_size \(did you mean train_dataloader\.batch_size or'),
        ('optimizer.tpye=Adam', r'no optimizer \(did you mean optim_wrapper\.optimizer or'),
        ('optim_wrapper.optimizer.tpye=Adam', r'has no tpye \(did you mean type\?\)'),
        ('optim_wrapper.optimizer.weightdecay=0', r'has no weightdecay \(did you mean weight_decay\?\)'),
        ('optim_wrapper.optimizer.momentun=0', r'optimizer has no momentun'),
        ('model.backbon.x=1', r'model has no backbon \(did you mean backbone\?\)'),
        ('model.backbone.text_layers=1', r'no text_layers \(did you mean text_finetune_layers\?\); it takes'),
        ('train_dataloader.batch_size=abc', r"train_dataloader\.batch_size: expected a number \(it is 64\), got 'abc'"),
        ('train_dataloader.prefetch=4', r'train_dataloader has no prefetch \(did you mean prefetch_factor\?\)'),
        ('train_cfg.val_intreval=1', r'no val_intreval \(did you mean val_interval\?\)'),
        ('train_cfg.stages.prompt.optim_wrapper.optimizer.l=1', r'optimizer has no l '),
        ('train_pipeline.0.type=X', 'so a change comes too late'),
        ('randomness.sed=1', r'randomness has no sed \(did you mean seed\?\)'),
        ('train_cfg=5', 'expected the name of one of its settings'),
        ('train_cfg.stages.7.epochs=1', r'train_cfg\.stages has no 7; it has 0, 1, 2'),
    ],
)
def test_options_that_nothing_reads_are_refused(option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(parse('--cfg-options', option))


def test_what_is_no_option_is_refused_by_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse('--cfg-options', 'train_cfg.stages')
    assert '--cfg-options takes key=value, got train_cfg.stages' in capsys.readouterr().err
