"""A page of commands, as CI runs it."""

from pathlib import Path

import pytest
from helpers.forks import Ended
from helpers.tools import run_tool

TOOL = Path(__file__).parents[2] / 'tools/run_docs.py'
PAGE = """# Two commands

```bash
mkdir made
```

Prose.

```bash
echo "one"; pwd; cd made
echo 'two 2'
```

<!-- shows: o|^\\. -->
```text
old
```
"""


def run(page: Path, *arguments: str) -> Ended:
    return run_tool('run_docs.py', page, '--folder', page.parent, *arguments)


def write(folder: Path, text: str) -> Path:
    page = folder / 'page.md'
    page.write_text(text)
    return page


def test_transcripts_are_written_only_when_asked_for(tmp_path: Path) -> None:
    page = write(tmp_path, PAGE)
    assert run(page).returncode == 0
    assert page.read_text() == PAGE
    (tmp_path / 'made').rmdir()
    assert run(page, '--write').returncode == 0
    assert page.read_text() == PAGE.replace('old\n', 'one\n.\ntwo 2\n')


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('```bash\necho before; false; echo after\n```\n', 'Exit status 1'),
        ('```bash\necho one\n```\n\n<!-- shows: two -->\n```text\ntwo\n```\n', "No line that matches 'two'"),
    ],
    ids=['fails', 'prints something else'],
)
def test_a_page_that_does_not_hold_fails(tmp_path: Path, text: str, said: str) -> None:
    result = run(write(tmp_path, text))
    assert result.returncode == 1
    assert said in result.stderr
    assert 'after' not in result.stderr.splitlines()


def test_times_and_colors_stay_out(tmp_path: Path) -> None:
    said = (
        r'\e[32m11/25 19:57:21 - mmengine - INFO - Exp name: run_20261125_195329\e[0m\n'
        r'R1: 4.5  data_time: 0.0838  time: 1.5\e[0m'
    )
    page = write(tmp_path, f'```bash\necho -e "{said}"\n```\n\n<!-- shows: . -->\n```text\n```\n')
    assert run(page, '--write').returncode == 0
    assert page.read_text().endswith('```text\nExp name: run\nR1: 4.5\n```\n')
