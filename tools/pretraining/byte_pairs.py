"""Byte-pair vocabularies small enough to ship, in the file format that open_clip's tokenizer reads."""

import gzip
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import regex
from open_clip.tokenizer import bytes_to_unicode

_WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE)
_Word = tuple[str, ...]


def learn_merges(texts: Iterable[str], max_merges: int) -> list[tuple[str, str]]:
    """Learn which neighboring pieces of words to merge, the most frequent pair first.

    Algorithm 1 of "Neural Machine Translation of Rare Words with Subword Units", starting from bytes, so that any text
    can be encoded.

    Args:
        texts: What to learn from.
        max_merges: Largest number of merges; fewer where every word has become one piece.

    Returns:
        Pairs of pieces in the order in which to merge them; pieces at a word's end carry `</w>`.
    """
    alphabet = bytes_to_unicode()
    words: Counter[_Word] = Counter()
    for word, count in Counter(word for text in texts for word in _WORDS.findall(text.lower())).items():
        letters = [alphabet[byte] for byte in word.encode('utf-8')]
        pieces = (*letters[:-1], letters[-1] + '</w>')
        words[pieces] += count
    merges: list[tuple[str, str]] = []
    while len(merges) < max_merges:
        pairs: Counter[tuple[str, str]] = Counter()
        for pieces, count in words.items():
            for pair in pairwise(pieces):
                pairs[pair] += count
        if not pairs:
            break
        # Ties are broken by the alphabet: the same texts in another order give the same vocabulary.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({_merged(pieces, best): count for pieces, count in words.items()})
    return merges


def _merged(pieces: _Word, pair: tuple[str, str]) -> _Word:
    merged: list[str] = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


def write_merges(merges: Iterable[tuple[str, str]], path: str | Path) -> None:
    """Write merges as open_clip's `SimpleTokenizer` reads them.

    Args:
        merges: Pairs of pieces, in order.
        path: Where to write, `*.txt.gz`. The same merges give the same bytes.
    """
    # No newline at the end: the tokenizer would take what follows it for one more merge.
    lines = '\n'.join(['#version: 0.2', *(f'{first} {second}' for first, second in merges)])
    Path(path).write_bytes(gzip.compress(lines.encode('utf-8'), mtime=0))
