import random

import open_clip
import pytest

from cmdg_plugin.clip_length import ClipLength, split_sentences


@pytest.fixture(scope='module')
def length() -> ClipLength:
    return ClipLength()


@pytest.mark.parametrize(
    'text',
    [
        'A man in a red, hooded jacket.',
        '',
        '  Two   spaces, UPPER case and 42 numbers!  ',
        'Über-stylish naïve café-goer — 42!',
        "He's the one; they'll say &amp; he'd go.",
        'broken â€œquotesâ€\x9d and a\ttab\x07',
        '<start_of_text> <END_OF_TEXT> ~#$',
        '穿着红色外套的人 👟',
        'word ' * 75,
    ],
)
def test_counts_as_open_clip_tokenizes(length: ClipLength, text: str) -> None:
    tokenizer = open_clip.get_tokenizer('ViT-B-32')
    assert length.count(text) == int((tokenizer([text])[0] != 0).sum())


def test_counts_printable_ascii_as_open_clip_tokenizes(length: ClipLength) -> None:
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    draw = random.Random(0)
    for _ in range(300):
        text = ''.join(chr(draw.randrange(32, 127)) for _ in range(40))
        assert length.count(text) == len(tokenizer.encode(text)) + 2, text


def test_fits_up_to_77(length: ClipLength) -> None:
    assert length.count('word ' * 75) == 77
    assert length.fits('word ' * 75)
    assert not length.fits('word ' * 76)


def test_shortens_at_a_sentence(length: ClipLength) -> None:
    first, second = 'A man walks by.', 'He wears ' + 'a red hat and ' * 9 + 'shoes.'
    assert length.fits(f'{first} {second}')
    assert length.shorten(f'{first} {second} {second}') == f'{first} {second}'
    assert length.shorten('word ' * 80 + '. And more.') == ''


def test_sentences() -> None:
    assert split_sentences('He runs. "Who?" She e.g. sits!  End') == ['He runs.', '"Who?', 'She e.g.', 'sits!', 'End']


def test_surrogates_are_counted_rather_than_raised_at(length: ClipLength) -> None:
    assert length.count('A \ud800 man.') > length.count('A man.')
