import pytest
from PIL import ImageFont

from cmdg_plugin.visualization.text import Font, wrap_characters, wrap_words


@pytest.fixture(scope='module')
def font() -> Font:
    return ImageFont.load_default(14)


def test_words_fit_and_none_is_lost(font: Font) -> None:
    sentence = 'A person in a dark coat walks past with a very-long-unbreakable-looking-word in between them'
    lines = wrap_words(sentence, font, 120)
    assert all(font.getlength(line) <= 120 for line in lines)
    assert len(lines) > 4
    assert ''.join(lines).replace(' ', '') == sentence.replace(' ', '')
    assert wrap_words('short', font, 120) == ['short']
    assert wrap_words('', font, 120) == ['']


def test_names_break_behind_separators(font: Font) -> None:
    lines = wrap_characters('0720_c1s3_001047_01_extra.jpg', font, 120)
    assert lines[0].endswith('_')
    assert ''.join(lines) == '0720_c1s3_001047_01_extra.jpg'
    assert all(font.getlength(line) <= 120 for line in lines)


def test_long_names_lose_their_middle(font: Font) -> None:
    lines = wrap_characters('start' + 'x' * 200 + 'end.png', font, 100, max_lines=2)
    assert len(lines) == 2
    assert lines[0].startswith('start')
    assert '...' in ''.join(lines)
    assert lines[1].endswith('end.png')
    assert all(font.getlength(line) <= 100 for line in lines)


def test_narrow_columns_end(font: Font) -> None:
    assert len(wrap_characters('abc', font, 1)) == 3
    assert wrap_characters('abcdefgh', font, 1, max_lines=2)
