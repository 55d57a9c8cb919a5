import json

import pytest

from cmdg_plugin.captioning.items import CaptionItem
from cmdg_plugin.captioning.journal import Journal
from cmdg_plugin.captioning.output import atomic_write, failed_path, journal_path, opened, summary_path, write_outputs
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.captioning.worklist import WorkList
from cmdg_plugin.regions import CAPTION_FILE_ORDER

SETTINGS = CaptionSettings('m', '1-x', seed=3)


def test_names_beside_the_output(tmp_path):
    out = tmp_path / 'my.captions.json'
    assert journal_path(out).name == 'my.captions.journal.jsonl'
    assert failed_path(out).name == 'my.captions.failed.json'
    assert summary_path(out).name == 'my.captions.summary.json'


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'a.json'
    with atomic_write(path) as file:
        file.write('old')
        file.flush()
        assert not path.exists()

    def fail():
        with atomic_write(path) as file:
            file.write('new')
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == 'old'
    assert [each.name for each in tmp_path.iterdir()] == ['a.json']


def test_what_a_kill_left_behind_is_written_over(tmp_path):
    (tmp_path / 'a.json.part').write_text('half of a longer file')
    with atomic_write(tmp_path / 'a.json') as file:
        file.write('new')
    assert [each.name for each in tmp_path.iterdir()] == ['a.json']
    assert (tmp_path / 'a.json').read_text() == 'new'


def test_captions_failures_and_counts_go_to_their_files(tmp_path):
    out = tmp_path / 'c.json'
    with WorkList() as worklist:
        worklist.add([CaptionItem('b.jpg', 4, 2, 'query'), CaptionItem('a.jpg')])
        with Journal(journal_path(out), SETTINGS.as_dict()) as journal:
            for region in CAPTION_FILE_ORDER:
                entry = {'path': 'b.jpg', 'region': region, 'caption': f'{region} é', 'fixes': ['markup']}
                worklist.set_answer('b.jpg', region, 0, journal.append(entry), failed=False)
                entry = {'path': 'a.jpg', 'region': region, 'failure': 'no', 'problems': ['empty', 'refused']}
                worklist.set_answer('a.jpg', region, 0, journal.append(entry), failed=True)
        with opened([journal_path(out)]) as descriptors:
            summary = write_outputs(out, worklist, descriptors, SETTINGS)
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
    assert not list(tmp_path.glob('*.part'))


def test_an_unfinished_list_is_refused(tmp_path):
    with WorkList() as worklist:
        worklist.add([CaptionItem('a.jpg')])
        with pytest.raises(ValueError, match=r'a\.jpg has no answer for global'):
            write_outputs(tmp_path / 'c.json', worklist, [], SETTINGS)
    assert not list(tmp_path.iterdir())
