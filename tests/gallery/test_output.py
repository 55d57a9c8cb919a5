import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cmdg_plugin.gallery.output import draw_result, format_table, write_result
from cmdg_plugin.gallery.results import Match, SearchResult


def make_result(folder: Path) -> SearchResult:
    paths = [folder / f'{name}.png' for name in 'ab']
    for path in paths:
        Image.new('RGB', (20, 40), 'red').save(path)
    first = Match(str(paths[0]), 0.9, 1, '7', 3, None, 'A man, in "red".\nHe walks.', {'floor': 2})
    return SearchResult((first, Match(str(paths[1]), -0.25, 2, None, None, None, None, {})), 'unsure', 9)


def test_a_result_as_a_table(tmp_path: Path) -> None:
    lines = format_table(make_result(tmp_path)).splitlines()
    assert lines[0].split() == ['rank', 'score', 'identity', 'camera', 'path', 'caption']  # nobody has a time
    assert lines[1].split()[:5] == ['1', '0.9000', '7', '3', str(tmp_path / 'a.png')]
    assert lines[1].endswith('A man, in "red". He walks.')
    assert lines[2].split() == ['2', '-0.2500', str(tmp_path / 'b.png')]
    assert lines[3] == 'searched 9 entries; verdict: unsure'
    assert format_table(SearchResult((), 'nobody', 9, exact=False)).endswith('9 entries approximately; verdict: nobody')
    assert format_table(SearchResult((), None, 0)) == 'nothing was found\nsearched 0 entries'


def test_control_characters_of_a_strangers_index_do_not_reach_the_terminal() -> None:
    match = Match('/a/\x1b[2J\n\u202egnp.png', 0.5, 1, 'Zoë', None, None, '\x1b]0;title\x07', {})
    line = format_table(SearchResult((match,), None, 1)).splitlines()[1]
    assert line.split() == ['1', '0.5000', 'Zoë', r'/a/\x1b[2J\n\u202egnp.png', r'\x1b]0;title\x07']


@pytest.mark.parametrize('text', ['=1+1', '+cmd|x!A1', '-2+3', '@SUM(1)', '\t=1', '\r=1'])
def test_no_text_is_a_formula_to_a_spreadsheet(tmp_path: Path, text: str) -> None:
    match = Match('/a.png', -0.5, 1, '-1', None, None, text, {'shop': text, 'floor': -3, 'name': 'a=b'})
    result = SearchResult((match,), None, 1)
    write_result(result, tmp_path / 'r.csv', {})
    with (tmp_path / 'r.csv').open(newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['caption'], row['shop']) == (f"'{text}", f"'{text}")
    assert [row[name] for name in ('score', 'identity', 'floor', 'name')] == ['-0.5', '-1', '-3', 'a=b']
    write_result(result, tmp_path / 'r.json', {})
    assert json.loads((tmp_path / 'r.json').read_text())['matches'][0]['caption'] == text


def test_a_result_as_json_and_csv(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    write_result(result, tmp_path / 'r.json', {'text': 'x'})
    content = json.loads((tmp_path / 'r.json').read_text())
    assert (content['query'], content['verdict'], content['searched']) == ({'text': 'x'}, 'unsure', 9)
    assert content['matches'][0]['columns'] == {'floor': 2}
    # A name that is not UTF-8 comes back as it was.
    write_result(result, tmp_path / 'r.json', {'image': ['caf\udce9 \u00e9.png']})
    assert json.loads((tmp_path / 'r.json').read_text())['query'] == {'image': ['caf\udce9 \u00e9.png']}
    write_result(result, tmp_path / 'r.csv', {})
    with (tmp_path / 'r.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert rows[0]['caption'] == result.matches[0].caption
    assert [(row['rank'], row['identity'], row['floor']) for row in rows] == [('1', '7', '2'), ('2', '', '')]
    (first, *_) = result.matches
    strange = replace(first, columns={'score': 'high', 'floor': 2})
    write_result(replace(result, matches=(strange,)), tmp_path / 's.csv', {})
    with (tmp_path / 's.csv').open(newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['score'], row['column_score'], row['floor']) == ('0.9', 'high', '2')
    with pytest.raises(ValueError, match=r'written to a \.json or \.csv file, not to .*r\.txt'):
        write_result(result, tmp_path / 'r.txt', {})


@pytest.mark.parametrize('by_image', [False, True])
def test_a_result_as_a_picture(by_image: bool, tmp_path: Path) -> None:
    result = make_result(tmp_path)
    images = [str(tmp_path / 'a.png')] if by_image else []
    (file,) = draw_result(result, tmp_path / 'show', images, None if by_image else 'a man in red', 'station')
    assert file.name == ('station_01_a.png' if by_image else 'station_01_text.png')
    with Image.open(file) as picture:
        # A cell for each match, one for the query's picture.
        assert picture.width > (3 if by_image else 2) * 128
        assert picture.width < (4 if by_image else 3) * 160
        assert (26, 127, 55) not in {color for _, color in picture.getcolors(1 << 20)}  # nothing is called right
    assert draw_result(SearchResult((), None, 0), tmp_path / 'none', images, None, 'station') == []
