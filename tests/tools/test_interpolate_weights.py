"""WiSE-FT as a user runs it: on a model that was trained without one source, chosen on that one."""

import re
from pathlib import Path

import pytest
import torch
from helpers.tiny_runs import set_epochs
from helpers.tools import TOY, run_tool
from mmengine.config import Config
from mmengine.runner import save_checkpoint
from safetensors.torch import save_file

from cmdg_plugin.apis import init_model
from cmdg_plugin.checkpoints.publishing import publish_model
from cmdg_plugin.models.backbones import TextAwareCLIP


@pytest.fixture
def held_out(config_file: Path, tiny_clip: str, tmp_path: Path) -> Path:
    """A config that trains the warm-up on one of two sources and is scored on the other."""
    torch.manual_seed(4)
    file = tmp_path / 'clip.safetensors'
    save_file(TextAwareCLIP(tiny_clip, image_size=(24, 16)).clip.state_dict(), file, {'quick_gelu': 'false'})
    config = Config.fromfile(config_file, import_custom_modules=False)
    config.model.backbone.pretrained = str(file)
    kept, aside = config.train_dataloader.dataset.sources
    config.train_dataloader.dataset.sources = [kept]
    for loader in (config.val_dataloader, config.test_dataloader):
        loader.dataset.targets = [{'type': 'HeldOutSource', 'source': aside}]
    set_epochs(config, 1, 0, 0)
    path = tmp_path / 'held_out.py'
    path.write_text(config.pretty_text)
    return path


@pytest.mark.slow
def test_alpha_is_chosen_on_the_held_out_source(held_out: Path, config_file: Path, tmp_path: Path) -> None:
    work = tmp_path / 'trained'
    trained = run_tool('train.py', held_out, '--work-dir', work)
    assert trained.returncode == 0, trained.stderr[-2000:]
    checkpoint, out = work / 'epoch_1.pth', tmp_path / 'mixed.pth'
    chosen = run_tool('interpolate_weights.py', checkpoint, out, '--choose', 0, 0.5, 1, '--config', held_out)
    assert chosen.returncode == 0, chosen.stderr[-2000:]
    said = chosen.stdout + chosen.stderr
    rows = {float(alpha): float(mean) for alpha, mean in re.findall(r'^alpha (\S+) +(\S+)', said, re.MULTILINE)}
    assert set(rows) == {0, 0.5, 1}
    (best,) = re.findall(r'mixed\.pth: alpha (\S+)', said)
    assert rows[float(best)] == max(rows.values())
    # The file holds what was scored.
    mixed = torch.load(out, weights_only=True)
    assert mixed['meta']['interpolation'] == {'alpha': float(best)}
    tested = run_tool('test.py', held_out, out, '--work-dir', tmp_path / 'tested')
    assert tested.returncode == 0, tested.stderr[-2000:]
    (mean,) = re.findall(r'^average +(\S+)', tested.stdout + tested.stderr, re.MULTILINE)
    assert float(mean) == max(rows.values())

    half = tmp_path / 'half.pth'
    plain = run_tool('interpolate_weights.py', checkpoint, half, '--alpha', 0.5, '--config', held_out)
    assert plain.returncode == 0, plain.stderr[-2000:]
    name = 'backbone.clip.visual.proj'
    before = init_model(Config.fromfile(held_out, import_custom_modules=False)).backbone.clip.visual.proj
    after = torch.load(checkpoint, weights_only=True)['state_dict'][name]
    expected = (before + after) / 2
    for file in (half, publish_model(half, tmp_path / 'published.pth')):
        torch.testing.assert_close(init_model(None, file).backbone.clip.visual.proj, expected, rtol=0, atol=1e-6)

    # Targets and a resume are refused.
    wrong = run_tool('interpolate_weights.py', checkpoint, out, '--choose', 0.5, '--config', config_file)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith('interpolate_weights.py: What is chosen by a target is fitted to it')
    resumed = run_tool('train.py', held_out, '--work-dir', tmp_path / 'resumed', '--resume', half)
    assert 'not a checkpoint that a training can be resumed from' in resumed.stderr


def test_the_checkpoint_names_its_pretrained_weights(tmp_path: Path) -> None:
    model = init_model(TOY, device='cpu')
    name = 'backbone.clip.visual.proj'
    state = {**model.state_dict(), name: model.state_dict()[name] + 1}
    meta = {'cfg': Config.fromfile(TOY).pretty_text, 'quick_gelu': model.backbone.quick_gelu}
    save_checkpoint({'state_dict': state, 'meta': meta}, str(tmp_path / 'toy.pth'))
    result = run_tool('interpolate_weights.py', tmp_path / 'toy.pth', tmp_path / 'out' / 'mixed.pth', '--alpha', 0.25)
    assert result.returncode == 0, result.stderr[-2000:]
    mixed = init_model(None, tmp_path / 'out' / 'mixed.pth', device='cpu')
    torch.testing.assert_close(mixed.state_dict()[name], model.state_dict()[name] + 0.25)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--alpha', '0.5', '--choose', '1'), 'not allowed with argument'),
        (('--choose', '1'), '--choose needs --config'),
        (('--alpha', '1', '--cfg-options', 'a=1'), 'laid over --config, and there is none'),
        (('--alpha', '0.5'), 'No checkpoint at none.pth.'),
    ],
)
def test_wrong_commands_are_named(arguments: tuple[str, ...], message: str) -> None:
    result = run_tool('interpolate_weights.py', 'none.pth', 'out.pth', *arguments)
    assert result.returncode in (1, 2)
    assert message in result.stderr
