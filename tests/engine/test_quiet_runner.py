from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from cmdg_plugin.engine.quiet_runner import QuietRunner, build_runner


def test_what_it_lists_goes_to_the_file_alone(tiny_config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    runner = build_runner(tiny_config)
    assert type(runner) is QuietRunner
    shown = ''.join(capsys.readouterr())
    assert 'System environment:' not in shown
    file = Path(runner.logger.log_file)
    assert f'Environment, config and hooks of this run stand in {file}' in shown
    assert 'System environment:' in file.read_text()


def test_a_config_may_name_another(tiny_config: Config) -> None:
    tiny_config.runner_type = 'Runner'
    assert type(build_runner(tiny_config)) is RUNNERS.get('Runner') is Runner
