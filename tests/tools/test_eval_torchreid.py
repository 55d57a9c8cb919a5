import copy
import shutil
import subprocess
import sys
from pathlib import Path

import torch
import torchreid.reid as torchreid
from mmengine.config import Config

from cmdg_plugin.registry import MODELS

REPOSITORY = Path(__file__).parents[2]


LIKE_TARGET = {
    'type': 'CaptionFileSource',
    'name': 'target',
    'root': '{root}/target',
    'caption_file': '{root}/target.json',
}


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
        f'from cmdg_plugin.toolboxes import register_source\nregister_source("yard", {LIKE_TARGET!r})\n'
    )
    tiny_config.custom_imports = {'imports': ['my_clip']}
    checkpoint = tmp_path / 'a.pth'
    weights = MODELS.build(copy.deepcopy(tiny_config.model)).state_dict()
    torch.save({'meta': {'cfg': tiny_config.pretty_text}, 'state_dict': weights}, checkpoint)
    command = [sys.executable, str(REPOSITORY / 'tools/eval_torchreid.py'), str(checkpoint), '--device', 'cpu']
    command += ['--trust', '--flip', '--data-root', str(tiny_data), '--targets', 'yard']
    command += ['--out', str(tmp_path / 'scores.json')]
    places = f'{tmp_path / "checkout"}:{REPOSITORY}'
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={'PYTHONPATH': places, 'PATH': ''})
    assert run.returncode == 0, run.stderr[-2000:]
    assert 'yard' in run.stderr + run.stdout
    assert (tmp_path / 'scores.json').is_file()
