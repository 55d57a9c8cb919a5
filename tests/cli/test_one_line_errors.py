"""Which errors of a run end in one line, and which keep their traceback."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from cmdg_plugin.cli.one_line_errors import INTERRUPTED, OneLineErrors, explain
from cmdg_plugin.engine.stages import parse_stages
from cmdg_plugin.files.images import UnreadableImage, read_image
from cmdg_plugin.registry import HOOKS, MODELS


def catch(work: Any) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (which ones is what the tests are about)
        work()
    return caught.value


def test_a_type_that_is_not_registered_is_named_with_its_place() -> None:
    config = {'model': {'backbone': {'type': 'TextAwareClipp'}}}
    line = explain(catch(lambda: MODELS.build({'type': 'TextAwareClipp'})), config)
    assert line == (
        "The config has model.backbone.type='TextAwareClipp': 'TextAwareClipp' is not a known model "
        '(did you mean TextAwareCLIP?).'
    )


def test_arguments_that_a_class_does_not_take_or_lacks() -> None:
    settings = {'type': 'PromptLearningHook', 'pipelin': []}
    config = {'default_scope': 'cmdg_plugin', 'custom_hooks': [settings]}
    assert explain(catch(lambda: HOOKS.build(dict(settings))), config) == (
        'The config has custom_hooks.0.pipelin: PromptLearningHook takes no pipelin (did you mean pipeline?).'
    )
    line = explain(catch(lambda: HOOKS.build({'type': 'PromptLearningHook'})), {'custom_hooks': [{'type': 'X'}]})
    assert line is not None
    assert "missing 1 required positional argument: 'pipeline'" in line


def test_what_the_package_says_is_one_line(tmp_path: Path) -> None:
    line = explain(catch(lambda: parse_stages([{'name': 'x'}], ['warmup'])), {})
    assert line == "train_cfg.stages.0 is stage 'x', which the model does not know; it knows warmup."
    (tmp_path / 'x.jpg').write_text('no image')
    assert str(tmp_path / 'x.jpg') in str(explain(catch(lambda: read_image(tmp_path / 'x.jpg')), {}))
    assert 'nowhere' in str(explain(catch(lambda: (tmp_path / 'nowhere').read_text()), {}))


@pytest.mark.parametrize(
    ('work', 'words'),
    [
        (lambda: torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], lr=-1.0), 'Invalid learning rate: -1.0'),
        (lambda: torch.utils.data.DataLoader([1], num_workers=-1), 'num_workers option should be non-negative'),
        (lambda: torch.utils.data.DataLoader([1], batch_size=0), 'batch_size should be a positive integer'),
    ],
)
def test_settings_that_torch_refuses_are_one_line(work: Any, words: str) -> None:
    assert words in str(explain(catch(work), {}))


def test_what_a_worker_of_a_dataloader_met_is_one_line() -> None:
    text = 'Caught UnreadableImage in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  x\n'
    error = UnreadableImage(f'{text}cmdg_plugin.files.images.UnreadableImage: The image a.jpg cannot be read.\n')
    assert explain(error, {}) == 'The image a.jpg cannot be read.'


@pytest.mark.parametrize('work', [lambda: int('abc'), lambda: {}['x'], lambda: None + 1, lambda: [][1]])
def test_faults_of_the_program_keep_their_traceback(work: Any) -> None:
    error = catch(work)
    assert explain(error, {}) is None
    with pytest.raises(type(error)), OneLineErrors('train.py'):
        raise error


@pytest.mark.parametrize(
    ('place', 'spoken'),
    [
        ('tools/tool.py', True),
        ('tools/other.py', True),
        ('cmdg_plugin/.venv/library.py', False),  # a clone of this repository, with packages inside
        ('tools/inner/library.py', False),
    ],
)
def test_what_a_tool_says_itself_is_one_line(place: str, spoken: bool, tmp_path: Path) -> None:
    tool, file = tmp_path / 'tools/tool.py', tmp_path / place
    for path in (tool, file):
        path.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("raise ValueError('--out takes a picture.')\n")
    call = f'runpy.run_path({str(file)!r})' if file != tool else "raise ValueError('--out takes a picture.')"
    tool.write_text(
        'import runpy\nfrom cmdg_plugin.cli.one_line_errors import OneLineErrors\n'
        f"with OneLineErrors('tool.py'):\n    {call}\n"
    )
    expected = (
        (SystemExit, r'^tool\.py: --out takes a picture\.$') if spoken else (ValueError, '^--out takes a picture')
    )
    with pytest.raises(expected[0], match=expected[1]):
        runpy.run_path(str(tool))


def test_nothing_is_hidden_from_who_asks() -> None:
    with pytest.raises(KeyError), OneLineErrors('train.py', debug=True):
        MODELS.build({'type': 'Nothing'})
    errors = OneLineErrors('train.py')
    errors.config = Config({'log_level': 'DEBUG'})
    with pytest.raises(KeyError), errors:
        MODELS.build({'type': 'Nothing'})
    with pytest.raises(SystemExit, match=r"^train\.py: 'Nothing' is not a known model"), OneLineErrors('/x/train.py'):
        MODELS.build({'type': 'Nothing'})


def test_interrupting_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    errors = OneLineErrors('train.py', resumable=True)
    errors.config = Config({'work_dir': str(tmp_path)})
    for words in ('No checkpoint is saved yet', f'--resume goes on from {tmp_path}/epoch_2.pth.'):
        with pytest.raises(SystemExit) as end, errors:
            raise KeyboardInterrupt
        assert end.value.code == INTERRUPTED
        assert words in capsys.readouterr().err
        (tmp_path / 'epoch_2.pth').touch()
