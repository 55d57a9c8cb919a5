import csv
import json
from pathlib import Path

import pytest
from mmengine.config import Config

from cmdg_plugin.ablation import Estimate, Run
from cmdg_plugin.ablation.table import Line, collect_lines, format_markdown, format_time, write_csv

SCORES = {
    'base': {0: 10.0, 1: 20.0, 2: 30.0},
    'more | bold': {0: 11.0, 1: 22.0, 2: 33.0},
    'fails': {},
    'once': {1: 19.0},
}


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three seeds of each row; `more` goes on from a beginning of 100 s."""
    runs = []
    for seed in range(3):
        for name, scores in SCORES.items():
            beginning = None
            if name.startswith('more'):
                beginning = Run('shared', seed, Config(), tmp_path / 'shared' / str(seed))
                beginning.folder.mkdir(parents=True)
                (beginning.folder / 'seconds.json').write_text('100')
            run = Run(name, seed, Config(), tmp_path / name[:4] / str(seed), beginning)
            runs.append(run)
            run.folder.mkdir(parents=True)
            if seed in scores:
                scores = {'average/R1': scores[seed], 'average/mAP': -scores[seed]}
                run.results_file.write_text(json.dumps({'before': None, 'after': scores}))
                (run.folder / 'seconds.json').write_text(str(10 + seed))
    return runs


# Means 20 and 22, standard deviations 10 and 11; differences 1, 2, 3; t for two degrees of freedom is 4.3027.
MARKDOWN = r"""
|  | average/R1 | against base | seeds | time of a run |
| :--- | ---: | ---: | ---: | ---: |
| base | 20.0 [-4.8, 44.8] |  | 3 | 11 s |
| more \| bold | 22.0 [-5.3, 49.3] | +2.0 [-0.5, +4.5] | 3 | 1 min 51 s |
| fails | - | - | 0 | - |
| once | 19.0 | -1.0 | 1 | 11 s |
"""


def test_rows_stand_in_a_markdown_table(runs: list[Run]) -> None:
    assert format_markdown(collect_lines(runs, ['average/R1'])) == MARKDOWN.strip()


def test_rows_may_be_compared_with_another(runs: list[Run]) -> None:
    lines = format_markdown(collect_lines(runs, ['average/R1'], reference='more | bold')).splitlines()
    assert lines[0] == '|  | average/R1 | against more \\| bold | seeds | time of a run |'
    assert lines[2].startswith('| base | 20.0 [-4.8, 44.8] | -2.0 [-4.5, +0.5] | 3 |')
    assert lines[3].startswith('| more \\| bold | 22.0 [-5.3, 49.3] |  | 3 |')


def test_seeds_that_the_reference_lacks_are_told(runs: list[Run]) -> None:
    """As where a study is looked at before all of its runs are done: a mean of three, a difference of one."""
    lines = format_markdown(collect_lines(runs, ['average/R1'], reference='once')).splitlines()
    assert lines[2] == '| base | 20.0 [-4.8, 44.8] | +1.0 | 3 (1 compared) | 11 s |'


def test_what_is_rounded_to_zero_has_no_minus_sign() -> None:
    small = Estimate(-0.04, 0.06, 2)
    base = Line('base', 'average/R1', {}, small, None, 0.0)
    line = Line('row', 'average/R1', {}, Estimate(-0.04, 0.02, 2), small, 0.0)
    assert format_markdown([base, line]).splitlines()[-1].startswith('| row | 0.0 [-0.1, 0.0] | +0.0 [-0.1, +0.0] |')


def test_each_metric_has_its_table(runs: list[Run]) -> None:
    first, second = format_markdown(collect_lines(runs, ['average/R1', 'average/mAP'])).split('\n\n')
    assert first == MARKDOWN.strip()
    assert '| base | -20.0 [-44.8, 4.8] |' in second


def test_a_seeds_score_is_the_mean_over_held_out_sources(tmp_path: Path) -> None:
    found = {('base', 'a'): [10, 20], ('base', 'b'): [30, 50], ('row', 'a'): [12, 20], ('row', 'b'): [34]}
    runs = []
    for (name, source), scores in found.items():
        for seed in range(2):
            run = Run(name, seed, Config(), tmp_path / name / source / str(seed), held_out=source)
            run.folder.mkdir(parents=True)
            if seed < len(scores):
                run.results_file.write_text(json.dumps({'before': None, 'after': {'average/R1': scores[seed]}}))
            runs.append(run)
    base, row = collect_lines(runs, ['average/R1'])
    assert base.scores == {0: 20.0, 1: 35.0}
    # A source of the second seed has not been scored yet.
    assert row.scores == {0: 23.0}
    assert (row.difference.mean, row.difference.count) == (3.0, 1)


def test_csv_is_unrounded(runs: list[Run], tmp_path: Path) -> None:
    write_csv(collect_lines(runs, ['average/R1']), tmp_path / 'out.csv')
    base, more, fails, once = csv.DictReader((tmp_path / 'out.csv').read_text().splitlines())
    assert (base['row'], base['metric'], base['seeds'], base['mean']) == ('base', 'average/R1', '3', '20.0')
    assert float(base['high']) - 20 == pytest.approx(4.30265 * 10 / 3**0.5, rel=1e-5)
    assert base['difference'] == base['difference_seeds'] == ''
    assert base['scores'] == '0:10.0 1:20.0 2:30.0'
    assert float(more['difference_low']) == pytest.approx(2 - 4.30265 / 3**0.5, rel=1e-5)
    assert (more['difference_seeds'], more['seconds']) == ('3', '111.0')
    assert set(fails.values()) == {'fails', 'average/R1', '0', ''}
    assert (once['mean'], once['low'], once['difference'], once['difference_low']) == ('19.0', '', '-1.0', '')


def test_an_unknown_metric_is_named(runs: list[Run]) -> None:
    with pytest.raises(ValueError, match=r'has no average/R2; it has average/R1, average/mAP\. Choose with --metric'):
        collect_lines(runs, ['average/R2'])


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(8.4, '8 s'), (59.6, '1 min 00 s'), (192, '3 min 12 s'), (3720, '1 h 02 min'), (float('nan'), '-')],
)
def test_times_are_spelled_out(seconds: float, text: str) -> None:
    assert format_time(seconds) == text
