import pytest

from cmdg_plugin.cli.estimate_table import format_estimates, peak_memory, spell_seconds
from cmdg_plugin.engine.estimating import StageEstimate

SHARES = {'loader': 0.6, 'losses and bank': 0.1, 'towers and optimizer': 0.2, 'Python': 0.1}
GIB = 2**30


def stage(name: str, epochs: int, checkpoint: int) -> StageEstimate:
    return StageEstimate(name, epochs, 100, 64, {'images': 7.0}, step=0.5, shares=SHARES, checkpoint=checkpoint)


def test_stages_their_sum_and_what_slows_them_down() -> None:
    lines = format_estimates([stage('warmup', 1, GIB), stage('bridging', 2, GIB)]).splitlines()
    assert lines[1].split() == ['warmup', '1', '100', '500', 'ms', '128', '7.0', 's', '57.0', 's']
    assert lines[3].split()[-4:] == ['2', 'min', '44', 's']
    assert lines[4].startswith('warmup: most of a step goes to loader (loader 60%, losses and bank 10%')
    assert 'num_workers' in lines[4]


@pytest.mark.parametrize(
    ('saving', 'room'),
    [
        ({'interval': 1, 'max_keep_ckpts': 2}, 7.0),  # 3 + 2 + 2: two are kept while the third is written
        ({'interval': 2, 'max_keep_ckpts': 1}, 4.0),  # each second epoch, and the last
        ({'interval': 0, 'max_keep_ckpts': 2}, 2.0),  # the last one alone
        ({'interval': 1}, 13.0),  # all are kept: 1 + 1 + 3 + 2 + 2 + 2, and the last
        (None, 13.0),
        ({'interval': 100, 'by_epoch': False, 'max_keep_ckpts': 2}, 7.0),  # an epoch has 100 steps
        ({'interval': 1, 'max_keep_ckpts': 2, 'save_best': 'average/mAP'}, 10.0),  # and the best, at its largest
        ({'interval': 1, 'max_keep_ckpts': 2, 'save_best': ['a/mAP', 'a/R1']}, 13.0),
    ],
)
def test_room_for_checkpoints(saving: dict | None, room: float) -> None:
    stages = [stage('warmup', 2, GIB), stage('prompt', 1, 3 * GIB), stage('bridging', 3, 2 * GIB)]
    assert f'room for {room:.1f} GiB is needed' in format_estimates(stages, saving)


@pytest.mark.parametrize(
    ('seconds', 'text'), [(3.04, '3.0 s'), (61, '1 min 1 s'), (3600, '1 h 0 min'), (200_000, '55 h 33 min')]
)
def test_durations_are_spelled_out(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


def test_memory_is_said() -> None:
    assert peak_memory().startswith('memory: ')
