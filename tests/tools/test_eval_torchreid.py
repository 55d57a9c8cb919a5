import copy
import shutil
from pathlib import Path

import torch
import torchreid.reid as torchreid
from helpers.tiny_runs import caption_source
from helpers.tools import REPOSITORY, run_tool
from mmengine.config import Config

from cmdg_plugin.registry import MODELS


def test_tool_under_the_other_layout(
    tiny_config: Config, tiny_clip_file: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """The names that torchreid's repository has: its package of PyPI, renamed in a folder."""
    checkout = tmp_path / 'checkout' / 'torchreid'
    shutil.copytree(Path(torchreid.__file__).parent, checkout, ignore=shutil.ignore_patterns('__pycache__'))
    for path in checkout.rglob('*.py'):
        path.write_text(path.read_text(encoding='utf-8').replace('torchreid.reid', 'torchreid'), encoding='utf-8')
    (tmp_path / 'checkout/my_clip.py').write_text(
        f'import open_clip\nopen_clip.add_model_config({str(tiny_clip_file)!r})\n'
        f'from cmdg_plugin.toolboxes import register_source\nregister_source("yard", {caption_source("target")!r})\n'
    )
    tiny_config.custom_imports = {'imports': ['my_clip']}
    checkpoint = tmp_path / 'a.pth'
    weights = MODELS.build(copy.deepcopy(tiny_config.model)).state_dict()
    torch.save({'meta': {'cfg': tiny_config.pretty_text}, 'state_dict': weights}, checkpoint)
    arguments = ['--device', 'cpu', '--trust', '--flip', '--data-root', tiny_data, '--targets', 'yard']
    arguments += ['--out', tmp_path / 'scores.json']
    environment = {'PYTHONPATH': f'{tmp_path / "checkout"}:{REPOSITORY}', 'PATH': ''}
    run = run_tool('eval_torchreid.py', checkpoint, *arguments, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    assert 'yard' in run.stderr + run.stdout
    assert (tmp_path / 'scores.json').is_file()
