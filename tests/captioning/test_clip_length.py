import open_clip
import pytest

from cmdg_plugin.captioning.clip_length import ClipLength, split_sentences


@pytest.fixture(scope='module')
def length():
    return ClipLength()


def test_counts_as_open_clip_tokenizes(length):
    tokenizer = open_clip.get_tokenizer('ViT-B-32')
    for text in ('A man in a red, hooded jacket.', '', 'Über-stylish naïve café-goer — 42!', 'word ' * 75):
        tokens = tokenizer([text])[0]
        assert length.count(text) == int((tokens != 0).sum())


def test_fits_up_to_77(length):
    assert length.count('word ' * 75) == 77
    assert length.fits('word ' * 75)
    assert not length.fits('word ' * 76)


def test_shortens_at_a_sentence(length):
    first, second = 'A man walks by.', 'He wears ' + 'a red hat and ' * 9 + 'shoes.'
    assert length.fits(f'{first} {second}')
    assert length.shorten(f'{first} {second} {second}') == f'{first} {second}'
    assert length.shorten('word ' * 80 + '. And more.') == ''


def test_sentences():
    assert split_sentences('He runs. "Who?" She e.g. sits!  End') == ['He runs.', '"Who?', 'She e.g.', 'sits!', 'End']
