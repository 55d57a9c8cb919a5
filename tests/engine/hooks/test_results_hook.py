"""What follows a training: written whole, of the whole run, and never the end of it."""

import copy
import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.visualization import read_training_log


def train_in(config: Config, work_dir: Path, name: str) -> Runner:
    config = copy.deepcopy(config)
    config.work_dir, config.experiment_name = str(work_dir), f'{work_dir.parent.name}_{name}'
    config.visualizer.name = config.experiment_name
    config.default_hooks.logger = {'type': 'LoggerHook', 'interval': 1}
    config.default_hooks.results = {'type': 'ResultsHook'}
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def test_curves_are_of_the_whole_run_also_where_it_is_resumed_elsewhere(tiny_config: Config, tmp_path: Path) -> None:
    tiny_config.default_hooks.checkpoint = {'type': 'CheckpointHook', 'interval': 1}
    whole = train_in(tiny_config, tmp_path / 'whole', 'whole')
    tiny_config.load_from, tiny_config.resume = str(tmp_path / 'whole/epoch_4.pth'), True
    runner = train_in(tiny_config, tmp_path / 'second', 'second')
    logs = runner.message_hub.get_info('training_logs')
    assert [Path(log).parents[2].name for log in logs] == ['whole', 'second']
    expected, found = (read_training_log(files) for files in (whole.message_hub.get_info('training_logs'), logs))
    assert [stage.name for stage in found.stages] == ['warmup', 'prompt', 'bridging']
    assert found.losses.keys() == expected.losses.keys()
    for name, points in expected.losses.items():
        assert [step for step, _ in found.losses[name]] == [step for step, _ in points]
    assert (tmp_path / 'second/curves.png').is_file()


def test_what_cannot_be_drawn_leaves_the_rest(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / 'out'
    work.mkdir()
    for name in ('ranked', 'results.md'):
        # A file stands where a folder is wanted, and a folder where a file is.
        (work / name).mkdir() if name == 'results.md' else (work / name).touch()
    tiny_config.val_evaluator.num_ranked_queries = 2
    train_in(tiny_config, work, 'undrawn')
    words = capsys.readouterr().out
    assert 'results.md could not be made (IsADirectoryError' in words
    assert 'pictures of ranked queries could not be made (FileExistsError' in words
    assert 'average/mAP' in json.loads((work / 'results.json').read_text())['after']
    assert (work / 'curves.png').is_file()
