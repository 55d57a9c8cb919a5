import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmdg_plugin.captioning.cleaning import PROBLEMS
from cmdg_plugin.captioning.prompts import DEFAULT_PROMPTS, PromptBook, load_prompts
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.clip_length import ClipLength

REGIONS = ('global', 'upper', 'middle', 'lower')


def settings(**changes: Any) -> CaptionSettings:
    return CaptionSettings('m', 'v', **changes)


@pytest.fixture(scope='module')
def book() -> PromptBook:
    return load_prompts()


def test_version_names_the_content(book: PromptBook, tmp_path: Path) -> None:
    digest = hashlib.sha256(DEFAULT_PROMPTS.read_bytes()).hexdigest()
    assert book.version == f'1-{digest[:8]}'
    changed = tmp_path / 'mine.yaml'
    changed.write_text(DEFAULT_PROMPTS.read_text().replace('footwear', 'boots'))
    assert load_prompts(changed).version != book.version


def test_first_wording_by_default(book: PromptBook) -> None:
    content = yaml.safe_load(DEFAULT_PROMPTS.read_text())
    for view in ('whole', 'crop'):
        for region in REGIONS:
            where = 'whole' if region == 'global' else view
            for path in ('a.jpg', 'b.jpg'):
                asked = book.ask(settings(view=view), path, region)
                assert asked == ' '.join(content['views'][where][region][0].split())


def test_varied_wording_draws_from_all_and_comes_back(book: PromptBook) -> None:
    paths = [f'{number}.jpg' for number in range(100)]
    first = [book.ask(settings(wording='varied'), path, 'upper') for path in paths]
    assert set(first) == set(book.questions['whole']['upper'])
    assert first == [book.ask(settings(wording='varied'), path, 'upper') for path in paths]
    assert first != [book.ask(settings(wording='varied', seed=1), path, 'upper') for path in paths]


def test_corrections_are_added(book: PromptBook) -> None:
    plain = book.ask(settings(), 'a.jpg', 'lower')
    for problem in PROBLEMS:
        asked = book.ask(settings(), 'a.jpg', 'lower', problem)
        assert asked.startswith(plain)
        assert len(asked) > len(plain) + 10


def test_every_view_names_its_third(book: PromptBook) -> None:
    for part in ('upper', 'middle', 'lower'):
        names = {
            'upper': ('upper third', 'top third'),
            'middle': ('middle third',),
            'lower': ('lower third', 'bottom third'),
        }
        for question in book.questions['whole'][part]:
            assert any(name in question for name in names[part])
            assert not any(name in question for other in names if other != part for name in names[other])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a: [', 'not a YAML'),
        ('[]', 'has no entry version'),
        ('[' * 5000, 'not a YAML'),
        ('{version: 1, corrections: 5}', 'has no entry corrections.empty'),
        ('{version: 1}', 'has no entry corrections'),
        ('{version: 1, corrections: {empty: ""}}', 'corrections.empty: expected a sentence'),
    ],
)
def test_wrong_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / 'prompts.yaml'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_prompts(path)


def test_a_region_without_wordings(tmp_path: Path) -> None:
    content = yaml.safe_load(DEFAULT_PROMPTS.read_text())
    content['views']['crop']['lower'] = []
    path = tmp_path / 'prompts.yaml'
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r'views.crop.lower: expected a list of one or more wordings'):
        load_prompts(path)


def test_older_prompts_files_have_no_words_for_suspicious_answers(tmp_path: Path) -> None:
    content = yaml.safe_load(DEFAULT_PROMPTS.read_text())
    assert load_prompts().corrections['suspicious'] == load_prompts().corrections['markup']
    content['corrections']['suspicious'] = 'Only what can be seen.'
    path = tmp_path / 'prompts.yaml'
    path.write_text(yaml.safe_dump(content))
    assert load_prompts(path).corrections['suspicious'] == 'Only what can be seen.'


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='no prompts file'):
        load_prompts(tmp_path / 'none.yaml')


def test_word_limits_fit_clip() -> None:
    # A word of a caption takes about 1.2 tokens; the limits that the questions name leave room.
    assert ClipLength().count('a person in a knee-length charcoal overcoat ' * 5) < 77
