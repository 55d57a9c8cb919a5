import dataclasses
from pathlib import Path

import pytest

from cmdg_plugin.datasets.checking import CaptionCheck, check_datasets, draw_table, explain
from cmdg_plugin.datasets.checking.dataset_check import DatasetCheck


@pytest.fixture(scope='module')
def checks(release_data: Path) -> dict[str, DatasetCheck]:
    return {check.name: check for check in check_datasets(release_data, names=('market1501', 'prid', 'cuhk03'))}


def cells(table: str, start: str) -> list[str]:
    (line,) = (line for line in table.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.split('  ') if cell.strip()]


def test_numbers_beside_the_expected_ones(checks: dict[str, DatasetCheck]) -> None:
    lines = draw_table(checks.values()).splitlines()
    table = '\n'.join(lines)
    head = [cell for cell in lines[0].split('  ') if cell]
    assert [cell.strip() for cell in head] == [
        *('dataset', 'found', 'role', 'identities', 'images', 'cameras', 'captions', 'longest', 'cut')
    ]
    # A number that is not the expected one is marked; both are shown.
    assert cells(table, 'market1501') == [
        *('market1501', 'release', 'train', '4 / 751 !', '16 / 12,936 !', '4 / 6 !', '36 of 36 (100%)', '13', '0')
    ]
    assert cells(table, 'prid') == [
        *('prid', 'release', 'train', '100 / 100', '200 / 200', '2 / 2', '949 of 949 (100%)', '13', '0')
    ]
    gallery = [line.split() for line in lines if line.strip().startswith('gallery')]
    assert gallery == [
        ['gallery', '4', '14', '/', '15,913', '!'],
        ['gallery', '649', '/', '649', '649', '/', '649'],
        ['gallery', '3', '/', '700', '!', '6', '/', '5,328', '!'],
    ]
    assert cells(table, 'cuhk03')[1] == 'release = torchreid, labeled'


def test_captions_stand_in_the_table(checks: dict[str, DatasetCheck]) -> None:
    market = checks['market1501']
    some = dataclasses.replace(market, captions=CaptionCheck(100_000, 99_999, longest=81, cut=1_234))
    assert cells(draw_table([some]), 'market1501')[6:] == ['99,999 of 100,000 (99.9%)', '81', '1,234']
    none = dataclasses.replace(market, captions=CaptionCheck(36, 0, longest=0, cut=0))
    assert cells(draw_table([none]), 'market1501')[6:] == ['0 of 36', '-', '-']


def test_missing_and_faulty(tmp_path: Path, checks: dict[str, DatasetCheck]) -> None:
    missing = check_datasets(tmp_path, names=('msmt17', 'viper'))
    table = draw_table(missing)
    assert cells(table, 'msmt17') == ['msmt17', 'no', 'train', '- / 1,041', '- / 30,248', '- / 15', '-', '-', '-']
    text = explain(missing, ['viper'])
    assert text.startswith('viper: not found. Expected, in the release layout:\n')
    assert f'{tmp_path}/VIPeR/\n├── split_1a/train/' in text
    assert f'{tmp_path}/viper/VIPeR/\n├── cam_a/' in text
    assert 'msmt17' not in text
    faulty = dataclasses.replace(checks['prid'], fault='prid: 3 images do not exist', notes=('a note',))
    assert cells(draw_table([faulty]), 'prid')[1] == 'release; faulty'
    assert explain([faulty], ()) == 'prid: 3 images do not exist\n\nprid: a note'
    assert explain([checks['prid']], ['prid']) == ''
