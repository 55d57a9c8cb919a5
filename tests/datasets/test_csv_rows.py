import re
from pathlib import Path

import pytest

from cmdg_plugin.datasets.csv_rows import iterate_csv


def read(tmp_path: Path, text: str) -> list[tuple[int, dict]]:
    path = tmp_path / 'index.csv'
    path.write_bytes(text.encode())
    return list(iterate_csv(path, ('file_path', 'path')))


@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
@pytest.mark.parametrize('newline', ['\n', '\r\n', '\r'])
def test_delimiters_and_names_of_columns(tmp_path: Path, delimiter: str, newline: str) -> None:
    lines = ['\ufeffPath, Identity ,ROLE', 'a b.jpg,12,Train', ',,', '', 'b.jpg, ,"x ""y"""']
    rows = read(tmp_path, newline.join(lines).replace(',', delimiter))
    assert rows == [
        (2, {'path': 'a b.jpg', 'identity': '12', 'role': 'Train'}),
        (5, {'path': 'b.jpg', 'role': 'x "y"'}),
    ]


def test_other_signs_within_cells_do_not_separate(tmp_path: Path) -> None:
    assert read(tmp_path, 'path,note; long\na.jpg,b;c\n') == [(2, {'path': 'a.jpg', 'note; long': 'b;c'})]
    assert read(tmp_path, 'path\na;b.jpg\n') == [(2, {'path': 'a;b.jpg'})]
    # Empty cells beyond the last column, and columns without a name.
    assert read(tmp_path, 'path,,\na.jpg,,,,\nb.jpg,1,\n') == [(2, {'path': 'a.jpg'}), (3, {'path': 'b.jpg', '': '1'})]
    # A cell of two lines is one, as long as the second does not look like a row.
    assert read(tmp_path, 'path,global\na.jpg,"A man,\nin red"\n') == [
        (3, {'path': 'a.jpg', 'global': 'A man,\nin red'})
    ]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        # The rest of the file would be one sentence.
        ('path,role,global\na.jpg,train,"A man\nb.jpg,query,\n', r"line 2, column 'global': the quote that opens here"),
        # A sentence further on closes it.
        ('path,global\nz.jpg,\na.jpg,"A man\nb.jpg,"A man"\n', r"line 3, column 'global': the quote that opens here"),
        ('path,global\na.jpg,"A man\nb.jpg,A man"\n', r"line 2, column 'global': .* another row: 'b.jpg,A man'"),
        ('path,global\n"a.jpg,A man\nb.jpg,\n', r"line 2, column 'path': the quote that opens here"),
        ('path,a,b\nx.jpg,"1\n2","3\n', r"line 3, column 'b': the quote that opens here is not closed .* line 3"),
        ('path,a\nx.jpg,"1" 2\n', r"line 2, column 'a': the quote that opens here"),
        ('path,a\nx.jpg,"' + 'y\n' * 100_000, r"line 2, column 'a': the quote that opens here"),
        ('path,a\nx.jpg,' + 'y' * 200_000 + '\n', r"line 2, column 'a': .* limit \(131072\)"),
        ('path,a\nx.jpg\n', 'line 2 has fewer cells .* cut off'),
        ('path,a\nx.jpg,A man, walking\n', 'line 2 has more cells .* quote commas'),
        ('path,id, ID\n', "line 1: two columns are called 'id'"),
        ('path|id\na|1\n', r"no column .* separated by commas, semicolons, tabs, but is 'path\|id'"),
        ('', 'its first line is empty'),
        ('\npath\n', 'its first line is empty'),
        ('"path,id\na.jpg,1\n', 'no column'),
    ],
)
def test_faults_name_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match='(?s)' + re.escape(str(tmp_path / 'index.csv')) + '.*' + message):
        read(tmp_path, text)
