import csv
from pathlib import Path

from mmengine.config import Config
from PIL import Image

from cmdg_plugin.ablation import Run
from cmdg_plugin.ablation.report import write_report


def test_a_table_a_file_of_numbers_and_a_picture(tmp_path: Path) -> None:
    runs = [Run(name, 0, Config(), tmp_path / name) for name in ('base', 'not done')]
    runs[0].folder.mkdir()
    runs[0].results_file.write_text('{"before": null, "after": {"average/R1": 12.5}}')
    text = write_report(runs, ['average/R1'], tmp_path)
    assert '| base | 12.5 |' in text
    assert '| not done | - |' in text
    assert (tmp_path / 'ablation.md').read_text() == f'{text}\n'
    with (tmp_path / 'ablation.csv').open(newline='') as file:
        assert [row[0] for row in csv.reader(file)][1:] == ['base', 'not done']
    with Image.open(tmp_path / 'ablation.png') as image:
        assert image.format == 'PNG'
