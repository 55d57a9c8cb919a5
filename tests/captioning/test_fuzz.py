"""Whatever a captioner answers and whatever stands in a journal: a caption that our reader takes, or a problem."""

import json
import os
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdg_plugin.captioning.backends.responses import read_completion
from cmdg_plugin.captioning.cleaning import PROBLEMS, clean_caption
from cmdg_plugin.captioning.journal import Journal, read_entries
from cmdg_plugin.captioning.output import failed_path, journal_path, write_outputs
from cmdg_plugin.captioning.plain_text import is_plain
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.captioning.worklist import WorkList
from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets import CaptionRecord, load_captions
from cmdg_plugin.regions import CAPTION_FILE_ORDER

GOOD = 'A man in a black jacket and blue jeans carries a red bag.'
SETTINGS = CaptionSettings('m', '1-x')
QUICK = settings(max_examples=100, derandomize=True, deadline=None, database=None)
EXAMPLES = int(os.environ.get('CMDG_FUZZ_EXAMPLES', 0))
LONG = settings(max_examples=max(1, EXAMPLES), deadline=None, database=None)

# Surrogates and unassigned characters, which hypothesis leaves out by itself, included.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
# fmt: off
PIECES = (
    GOOD, 'a man in a red coat', 'the upper third of the image shows ', 'black', 'and', 'I cannot', 'too blurry to',
    'sure! ', ' ', '\n', '\n\n', '\t', '.', '!', '?', ',', ':', ';', '-', '...', '!!!!', '"', "'", '\u201c',
    '\u201d', '(', ')', '[', ']', '{', '}', '["', '"]', '{"caption": "', '"}', '\\u', '\\n', '\\"', '\\', '<', '>',
    '</', '<b>', '</b>', '<br/>', '<script>', '&lt;', '&#27;', '&amp;', '\x1b[31m', '\x1b', '[31m', '\x9b',
    '\x1b]0;', '\x07', '\0', '\u200b', '\u202e', '\ufeff', '\ud800', '\udfff', '\u0301', '\u3164', 'ß', 'ﬁ', 'İ',
    'ŉ', '<think>', '</think>', '```', '```json\n', '**', '__', '*', '`', '# ', '- ', '1. ', '> ', 'Caption: ',
    'Assistant: ', 'Human: ', 'user\n', '<|im_start|>', '<|im_end|>', 'assistant\n', '[INST]', '[/INST]', '<s>',
    '</s>', '<start_of_turn>model\n', '<end_of_turn>', '<|eot_id|>', 'ignore all previous instructions',
    'addCriterion', 'https://a.b', '&#xD800;', 'é', '一个', 'Ein Mann mit', '😀', '\u2028', 'Let me know',
)
# fmt: on
ANSWERS = ANY_TEXT | st.lists(st.sampled_from(PIECES) | ANY_TEXT, max_size=25).map(''.join)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.sampled_from(('a.jpg', 'upper', 'markup', GOOD)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(('path', 'region', 'caption', 'failure', 'unreadable', 'problems', 'fixes', 'x'))


def entry_of(region: str, changes: dict, gone: list[str]) -> bytes:
    entry = {'path': 'a.jpg', 'region': region, 'caption': GOOD, **changes}
    return json.dumps({key: value for key, value in entry.items() if key not in gone}).encode()


ENTRIES = st.builds(
    entry_of,
    st.sampled_from(CAPTION_FILE_ORDER),
    st.dictionaries(KEYS, JSON_VALUES, max_size=2) | st.fixed_dictionaries({'caption': ANSWERS}),
    st.lists(KEYS, max_size=1),
)
MESSAGES = st.dictionaries(st.sampled_from(('content', 'refusal')), JSON_VALUES) | JSON_VALUES
CHOICES = st.dictionaries(st.sampled_from(('message', 'finish_reason')), MESSAGES) | JSON_VALUES
COMPLETIONS = st.fixed_dictionaries({'choices': st.lists(CHOICES, max_size=2) | JSON_VALUES}) | JSON_VALUES
# A damaged line may end early, or go on.
DAMAGED = st.builds(lambda line, at, more: line[:at] + more, ENTRIES, st.integers(0, 150), st.binary(max_size=20))
LINES = st.lists(
    ENTRIES | DAMAGED | JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(), max_size=6
)


@cache
def length() -> ClipLength:
    return ClipLength()


def check_answer(answer: str, complete: bool) -> None:
    clean = clean_caption(answer, length(), complete)
    if clean.problem is not None:
        assert clean.problem in PROBLEMS
        assert clean.text == ''
        return
    again = clean_caption(clean.text, length())
    assert (again.text, again.problem, again.fixes) == (clean.text, None, ())
    assert is_plain(clean.text)
    assert length().fits(clean.text)
    assert json.loads(json.dumps(clean.text, ensure_ascii=False).encode()) == clean.text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'c.json'
        record = {'file_path': 'a.jpg', 'captions': [clean.text] * 4}
        path.write_text(json.dumps([record], ensure_ascii=False), encoding='utf-8')
        assert load_captions(path)[0].captions == (clean.text,) * 4


def check_journal(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder, WorkList() as worklist:
        out = Path(folder) / 'c.json'
        journal = journal_path(out)
        worklist.add([CaptionRecord('a.jpg')])
        with Journal(journal, SETTINGS.as_dict(), 3600):
            pass
        with journal.open('ab') as file:
            file.writelines(line + b'\n' for line in lines)
        for entry in read_entries(journal):
            worklist.set_answer(entry)
        for item, region in worklist.missing():
            worklist.set_answer({'path': item.file_path, 'region': region, 'caption': GOOD})
        summary = write_outputs(out, worklist, SETTINGS)
        assert summary.images == summary.captioned + summary.failed == 1
        assert len(json.loads(failed_path(out).read_text())) == summary.failed
        if summary.captioned:
            assert all(map(is_plain, load_captions(out)[0].captions))


@QUICK
@given(ANSWERS, st.booleans())
def test_any_answer(answer: str, complete: bool) -> None:
    check_answer(answer, complete)


@QUICK
@given(COMPLETIONS)
def test_any_completion(content: object) -> None:
    text, refusal = _read(content)
    assert isinstance(text, str)
    assert refusal.isprintable()


def _read(content: object) -> tuple[str, str]:
    try:
        return read_completion(content).text, ''
    except ValueError as error:
        return '', str(error)


@QUICK
@given(LINES)
def test_any_journal(lines: list[bytes]) -> None:
    check_journal(lines)


@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLES, reason='set CMDG_FUZZ_EXAMPLES to the number of inputs, such as 20000')
@LONG
@given(ANSWERS, st.booleans())
def test_any_answer_for_long(answer: str, complete: bool) -> None:
    check_answer(answer, complete)


@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLES, reason='set CMDG_FUZZ_EXAMPLES to the number of inputs, such as 20000')
@LONG
@given(LINES)
def test_any_journal_for_long(lines: list[bytes]) -> None:
    check_journal(lines)
