import gzip
from pathlib import Path

import open_clip
import pytest
from pretraining.byte_pairs import learn_merges, write_merges


def test_the_most_frequent_neighbors_are_merged_first() -> None:
    """Counted by hand: `l o` and `o w` occur three times (the alphabet decides), `b lo` but once."""
    assert learn_merges(['low low', 'blow'], 10) == [('l', 'o'), ('lo', 'w</w>'), ('b', 'low</w>')]
    assert learn_merges(['low low', 'blow'], 1) == [('l', 'o')]


def test_repeated_letters_are_merged_from_the_left() -> None:
    assert learn_merges(['aaaab'], 2) == [('a', 'a'), ('aa', 'aa')]


def test_the_order_of_texts_does_not_matter() -> None:
    texts = ['a red coat', 'a blue coat', 'the red hat', 'the blue hat']
    assert learn_merges(texts, 50) == learn_merges(texts[::-1], 50)


def test_open_clip_reads_the_file_and_makes_one_token_of_a_known_word(tmp_path: Path) -> None:
    path = tmp_path / 'bpe.txt.gz'
    merges = learn_merges(['The RED coat, the blue coat.'], 100)
    write_merges(merges, path)
    tokenizer = open_clip.SimpleTokenizer(bpe_path=str(path))
    assert tokenizer.vocab_size == 2 * 256 + len(merges) + 2
    assert len(tokenizer.encode('the red coat, the blue coat.')) == 8
    assert tokenizer.decode(tokenizer.encode('the red coat')).strip() == 'the red coat'


@pytest.mark.parametrize('text', ['xylophone', 'größe', '日本', '42!'])
def test_any_text_can_be_encoded(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'bpe.txt.gz'
    write_merges(learn_merges(['the red coat'], 100), path)
    tokenizer = open_clip.SimpleTokenizer(bpe_path=str(path))
    assert tokenizer.decode(tokenizer.encode(text)).replace(' ', '') == text


def test_the_same_merges_give_the_same_bytes_without_a_last_newline(tmp_path: Path) -> None:
    for name in ('a', 'b'):
        write_merges([('r', 'e'), ('re', 'd</w>')], tmp_path / name)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
    assert gzip.decompress((tmp_path / 'a').read_bytes()).decode().split('\n')[1:] == ['r e', 're d</w>']
