"""The test tool, as a user runs it; how it scores a run's last checkpoint: test_train.py, which has one."""

import json
from pathlib import Path

import pytest
from helpers.tools import TOY, run_here, run_tool
from mmengine.runner import save_checkpoint

from cmdg_plugin.apis import init_model


@pytest.mark.slow
def test_open_set_on_islands(tmp_path: Path) -> None:
    model = init_model(TOY, device='cpu')
    checkpoint, out = tmp_path / 'toy.pth', tmp_path / 'scores.json'
    save_checkpoint({'state_dict': model.state_dict(), 'meta': {}}, str(checkpoint))
    arguments = (TOY, checkpoint, '--work-dir', tmp_path / 'work', '--out', out, '--out-item', 'metrics')
    options = ('--cfg-options', f'data_root={tmp_path / "data"}')
    scores = {}
    for name, more in (('plain', ()), ('open', ('test_evaluator.open_set.share=0.9',))):
        tested = run_tool('test.py', *arguments, *options, *more)
        assert tested.returncode == 0, tested.stderr[-2000:]
        scores[name] = json.loads(out.read_text())
    assert {name for name in scores['open'] if 'TPIR' in name} == {
        f'{target}/{score}' for target in ('metro', 'alpine', 'average') for score in ('TPIR1', 'TPIR10')
    }
    assert all(0 <= value <= 100 for name, value in scores['open'].items() if 'TPIR' in name)
    assert {name: value for name, value in scores['open'].items() if 'TPIR' not in name} == scores['plain']
    table = (tested.stdout + tested.stderr).partition('Scores (percent)')[2]
    assert table.split()[6:8] == ['TPIR1', 'TPIR10']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((__file__,), 'test_test.py is not a checkpoint that torch has written'),
        (('x.pth', '--out', 'o.csv', '--out-item', 'metrics'), 'takes a .json, .yaml or .pkl file'),
        (('x.onnx', '--amp'), 'x.onnx is a complete model, which --amp cannot change: export it anew.'),
        (
            ('x.onnx', '--cfg-options', 'model.flip_test=True'),
            'x.onnx is a complete model, which --cfg-options model.flip_test cannot change',
        ),
    ],
)
def test_wrong_input_is_named_without_a_traceback(arguments: tuple[str, ...], message: str) -> None:
    result = run_here('test.py', TOY, *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert 'Traceback (most recent' not in result.stderr


def test_help_is_quick_and_free_of_mims_flag() -> None:
    result = run_here('test.py', '-h')
    assert result.returncode == 0
    assert '--cfg-options' in result.stdout
    assert '--gpus' not in result.stdout
