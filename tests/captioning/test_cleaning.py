import time

import pytest

from cmdg_plugin.captioning.cleaning import PROBLEMS, clean_caption
from cmdg_plugin.clip_length import ClipLength

GOOD = 'A man in a black jacket and blue jeans carries a red bag.'


@pytest.fixture(scope='module')
def length():
    return ClipLength()


@pytest.mark.parametrize(
    'text',
    [
        GOOD,
        'The man is wearing a dark suit with a white shirt and a tie. He is walking, and his upper body is visible.',
        'A woman with a "NYC" cap, a T-shirt (white) and knee-high socks; she looks left.',
        'A person whose face cannot be seen wears a shirt that says "sorry".',
    ],
)
def test_good_captions_stay_as_they_are(length, text):
    clean = clean_caption(text, length)
    assert (clean.text, clean.problem, clean.fixes) == (text, None, ())


@pytest.mark.parametrize(
    ('answer', 'fixes'),
    [
        (f'  {GOOD}\n', ()),
        (GOOD[:-1], ()),
        (f'"{GOOD}"', ('quotes',)),
        (f'\u201c{GOOD}\u201d', ('quotes',)),
        (f'**{GOOD}**', ('markup',)),
        (f'# Caption\n{GOOD}'.replace('Caption', 'Caption:'), ('markup', 'newlines', 'preamble')),
        (f'```text\n{GOOD}\n```', ('markup',)),
        (f'<p>{GOOD}</p>', ('markup',)),
        (f'{GOOD}<|im_end|>', ('markup',)),
        (f'<think>What to say...\n\n</think>\n{GOOD}', ('thinking',)),
        (GOOD.replace('black', '*black*'), ('markup',)),
        (GOOD.replace(' and ', '\nand\n'), ('newlines',)),
        (f'The image shows {GOOD[0].lower()}{GOOD[1:]}', ('preamble',)),
        (f'The upper third of the image shows {GOOD}', ('preamble',)),
        (f'This picture depicts {GOOD}', ('preamble',)),
        (f'In the lower part of this photo, {GOOD}', ('preamble',)),
        (f'In this image, you can see {GOOD}', ('preamble',)),
        (f"Sure! Here's a short description: {GOOD}", ('preamble',)),
        (f'Caption: {GOOD}', ('preamble',)),
        (f'{GOOD} {GOOD} {GOOD}', ('repeated',)),
        (GOOD.replace('black', 'bla\u200bck\x00'), ()),
        (f'- {GOOD}', ('markup',)),
        (f'Certainly. "The image shows {GOOD}"', ('preamble',)),
    ],
)
def test_cleaned(length, answer, fixes):
    clean = clean_caption(answer, length)
    assert clean.problem is None
    assert clean.text == GOOD
    assert clean.fixes == fixes


@pytest.mark.parametrize(
    ('answer', 'problem'),
    [
        ('', 'empty'),
        (' \n ', 'empty'),
        ('...', 'empty'),
        ('12345', 'empty'),
        ("I'm sorry, but I can't help with identifying people in images.", 'refused'),
        ('I\u2019m unable to describe the person.', 'refused'),
        ('Sorry, I cannot assist with that request.', 'refused'),
        ('As an AI, I do not see images.', 'refused'),
        ('I can\u2019t see anything.', 'refused'),
        ('There is no person in the image.', 'refused'),
        ('{"caption": "A man in a black jacket"}', 'markup'),
        ('A man in a jacket, see https://example.com for the rest.', 'markup'),
        ('A man [in a jacket](javascript:alert) and a hat.', 'markup'),
        ('A man in a \ufffd jacket and the hat.', 'markup'),
        ('| upper | a black jacket |', 'markup'),
        ('A man in a black jacket &amp;lt;b&amp;gt; and a hat.', 'markup'),
        ('Ein Mann mit schwarzer Jacke und roter Tasche geht nach links.', 'not_english'),
        ('一个穿黑色夹克的男人。', 'not_english'),
        ('A man with a bag and a hat and a bag and a hat and a bag and a hat.', 'repeated'),
        ('The red red red jacket of a man.', 'repeated'),
        ('A man.', 'too_short'),
        (
            'A man with ' + ', '.join(f'a {word} thing' for word in map(str.lower, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')) + '.',
            'too_long',
        ),
    ],
)
def test_asked_again(length, answer, problem):
    clean = clean_caption(answer, length)
    assert (clean.text, clean.problem) == ('', problem)
    assert problem in PROBLEMS


def test_too_long_is_shortened_at_a_sentence(length):
    long = ' '.join(
        f'He has a {word} pocket on the side of his left leg.' for word in ('red', 'blue', 'green', 'pink', 'dark')
    )
    clean = clean_caption(f'{GOOD} {long} {long.replace("left", "right")}', length)
    assert clean.problem is None
    assert 'shortened' in clean.fixes
    assert clean.text.startswith(GOOD)
    assert clean.text.endswith('leg.')
    assert length.fits(clean.text)


def test_half_a_sentence_is_dropped(length):
    clean = clean_caption(f'{GOOD} He also has a', length, complete=False)
    assert (clean.text, clean.problem, clean.fixes) == (GOOD, None, ('cut_off',))
    assert clean_caption('A man in a black jacket and a', length, complete=False).problem == 'cut_off'
    assert clean_caption(GOOD, length, complete=False).fixes == ()


def test_a_preamble_alone_is_no_caption(length):
    for answer in ('Here is the description:', 'The image shows', 'Caption:', 'Sure!'):
        assert clean_caption(answer, length).problem == 'empty'


@pytest.mark.parametrize(
    'answer', ['a ' * 200_000, '*' * 200_000, '<' * 200_000, 'x' * 200_000, '<b' * 100_000, '\n' * 10**6]
)
def test_endless_answers_do_not_take_long(length, answer):
    start = time.perf_counter()
    assert clean_caption(answer, length).problem is not None
    assert time.perf_counter() - start < 2
