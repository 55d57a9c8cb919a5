import json
from pathlib import Path

import pytest

from cmdg_plugin.visualization import StageSpan, read_training_log

STAGED = [
    {'yard/mAP': 20.0, 'yard/R1': 30.0, 'average/mAP': 20.0, 'time': 0.1, 'step': 0},
    {
        'warmup/lr': 1e-3,
        'warmup/base_lr': 1.0,
        'warmup/loss': 6.0,
        'warmup/loss_id': 4.0,
        'epoch': 1,
        'iter': 3,
        'step': 3,
    },
    {'warmup/lr': 2e-3, 'warmup/loss': 5.0, 'warmup/loss_id': 3.0, 'epoch': 2, 'iter': 6, 'step': 6},
    {'prompt/lr': 3e-3, 'prompt/loss': 2.0, 'epoch': 3, 'iter': 8, 'step': 8},
    {'yard/mAP': 25.0, 'yard/R1': 35.0, 'yard/mAP_std': 1.0, 'average/mAP': 25.0, 'step': 3},
]


def write(path: Path, records: list[dict]) -> Path:
    path.write_text('\n'.join(json.dumps(record) for record in records) + '\n\n')
    return path


def test_staged_run(tmp_path: Path) -> None:
    log = read_training_log(write(tmp_path / 'scalars.json', STAGED))
    assert log.losses == {
        'warmup/loss': [(3, 6.0), (6, 5.0)],
        'warmup/loss_id': [(3, 4.0), (6, 3.0)],
        'prompt/loss': [(8, 2.0)],
    }
    assert log.rates == {'warmup/lr': [(3, 1e-3), (6, 2e-3)], 'prompt/lr': [(8, 3e-3)]}
    # Scores stand where training stood, not at the epoch that MMEngine calls their step.
    assert log.scores['mAP'] == {'yard': [(0, 20.0), (8, 25.0)], 'average': [(0, 20.0), (8, 25.0)]}
    assert list(log.scores) == ['mAP', 'R1']
    assert log.stages == [StageSpan('warmup', 0, 6, (1, 2)), StageSpan('prompt', 6, 8, (3, 3))]


def test_plain_run_has_one_nameless_stage(tmp_path: Path) -> None:
    records = [
        {'lr': 0.1, 'loss': 2.0, 'loss_triplet': 1.0, 'epoch': 1, 'step': 5},
        {'lr': 0.1, 'loss': 1.0, 'step': 9},
    ]
    log = read_training_log(write(tmp_path / 'scalars.json', records))
    assert log.losses == {'loss': [(5, 2.0), (9, 1.0)], 'loss_triplet': [(5, 1.0)]}
    assert log.stages == [StageSpan('', 0, 9, (1, 1))]
    assert log.scores == {}


def test_later_file_of_a_resumed_run_wins(tmp_path: Path) -> None:
    first = write(tmp_path / 'a.json', STAGED)
    second = write(tmp_path / 'b.json', [{'prompt/loss': 1.5, 'step': 8}, {'prompt/loss': 1.0, 'step': 10}])
    log = read_training_log([first, second])
    assert log.losses['prompt/loss'] == [(8, 1.5), (10, 1.0)]
    assert log.stages[-1].stop == 10


def test_what_was_trained_again_counts_as_the_later_file_has_it(tmp_path: Path) -> None:
    first = [{'loss': 3.0, 'step': step} for step in (2, 4, 6)] + [{'target/mAP': 5.0, 'step': 1}]
    second = [{'loss': 1.0, 'step': step} for step in (5, 7)]
    log = read_training_log([write(tmp_path / 'a.json', first), write(tmp_path / 'b.json', second)])
    assert log.losses['loss'] == [(2, 3.0), (4, 3.0), (5, 1.0), (7, 1.0)]
    assert log.scores == {'mAP': {}}


def test_bad_logs_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'No training log at .*missing.json'):
        read_training_log(tmp_path / 'missing.json')
    path = tmp_path / 'bad.json'
    path.write_text('{"loss": 1.0}\n{"loss": \n')
    with pytest.raises(ValueError, match=r'bad.json, line 2 is not JSON'):
        read_training_log(path)
    path.write_text('[1]\n')
    with pytest.raises(ValueError, match='line 1 must be a JSON object, got list'):
        read_training_log(path)
