import json
from pathlib import Path

import pytest

from cmdg_plugin.captioning.output import (
    failed_path,
    journal_path,
    lock_output,
    prepare_output,
    summary_path,
    write_outputs,
)
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.captioning.worklist import WorkList
from cmdg_plugin.datasets import CaptionRecord
from cmdg_plugin.files.locking import InUse
from cmdg_plugin.regions import CAPTION_FILE_ORDER

SETTINGS = CaptionSettings('m', '1-x', seed=3)


def test_names_beside_the_output(tmp_path: Path) -> None:
    out = tmp_path / 'my.captions.json'
    assert journal_path(out).name == 'my.captions.journal.jsonl'
    assert failed_path(out).name == 'my.captions.failed.json'
    assert summary_path(out).name == 'my.captions.summary.json'


def test_folders_of_an_output_are_made(tmp_path: Path) -> None:
    assert prepare_output(tmp_path / 'a' / 'b' / 'c.json').parent.is_dir()
    with pytest.raises(ValueError, match=r'must be a \.json file'):
        prepare_output(tmp_path / 'c.csv')


def test_one_run_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / 'c.json'
    with lock_output(out), lock_output(tmp_path / 'other.json'):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InUse, match=r'another run writes to .*c\.json'), lock_output(prepare_output(out)):
            pass
        (tmp_path / 'link').symlink_to(tmp_path)
        with pytest.raises(InUse), lock_output(tmp_path / 'link' / 'c.json'):
            pass
    with lock_output(out):
        pass


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    out = tmp_path / 'c.json'
    for name in ('c.json.17.unfinished', 'c.failed.json.18.unfinished', 'c.summary.json.19.unfinished'):
        (tmp_path / name).write_text('half')
    (tmp_path / 'other.json.20.unfinished').write_text('not ours')
    with lock_output(out):
        assert [path.name for path in tmp_path.glob('*.unfinished')] == ['other.json.20.unfinished']


def test_captions_failures_and_counts_go_to_their_files(tmp_path: Path) -> None:
    out = tmp_path / 'c.json'
    with WorkList() as worklist:
        worklist.add([CaptionRecord('b.jpg', None, 4, 2, 'query'), CaptionRecord('a.jpg')])
        for region in CAPTION_FILE_ORDER:
            worklist.set_answer({'path': 'b.jpg', 'region': region, 'caption': f'{region} é', 'fixes': ['markup']})
            problems = ['empty', 'refused']
            worklist.set_answer({'path': 'a.jpg', 'region': region, 'failure': 'no', 'problems': problems})
        summary = write_outputs(out, worklist, SETTINGS)
    facts = {'model': 'm', 'prompt_version': '1-x', 'seed': 3}
    captions = [f'{region} é' for region in ('global', 'upper', 'middle', 'lower')]
    record = {'file_path': 'b.jpg', 'identity': 4, 'camera': 2, 'split': 'query', 'captions': captions, **facts}
    assert json.loads(out.read_text()) == [record]
    (failed,) = json.loads(failed_path(out).read_text())
    assert failed == {'file_path': 'a.jpg', 'failures': dict.fromkeys(CAPTION_FILE_ORDER, 'no'), 'captions': {}}
    assert (summary.images, summary.captioned, summary.failed) == (2, 1, 1)
    stored = json.loads(summary_path(out).read_text())
    assert stored['asked_again'] == {'empty': 4, 'refused': 4}
    assert stored['fixed'] == {'markup': 4}
    assert stored['settings'] == SETTINGS.as_dict()
    assert not list(tmp_path.glob('*.unfinished'))


def test_an_unfinished_list_is_refused(tmp_path: Path) -> None:
    with WorkList() as worklist:
        worklist.add([CaptionRecord('a.jpg')])
        with pytest.raises(ValueError, match=r'a\.jpg has no answer for global'):
            write_outputs(tmp_path / 'c.json', worklist, SETTINGS)
    assert not list(tmp_path.iterdir())
