"""What an ablation writes down; tests/ablation/test_table.py and test_plot.py look into it."""

import json
from pathlib import Path

from mmengine.config import Config

from cmdg_plugin.ablation import Run, write_report


def test_a_study_on_held_out_sources_says_so(tmp_path: Path) -> None:
    runs = [Run('base', 0, Config(), tmp_path / source / 'seed0', held_out=source) for source in ('harbor', 'station')]
    for run in runs:
        run.folder.mkdir(parents=True)
        run.results_file.write_text(json.dumps({'before': None, 'after': {'average/R1': 10.0}}))
    text = write_report(runs, ['average/R1'], tmp_path)
    assert text.startswith('Study on held-out sources (harbor, station): ')
    assert (tmp_path / 'ablation.md').read_text() == f'{text}\n'
    on_targets = [Run('base', 0, Config(), run.folder) for run in runs]
    assert write_report(on_targets, ['average/R1'], tmp_path).startswith('|  | average/R1 |')
    assert {file.suffix for file in tmp_path.glob('ablation.*')} == {'.md', '.csv', '.png'}
