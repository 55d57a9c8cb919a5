"""Numbers that tell a good caption file from a poor one: lengths, words, diversity, near-duplicates, leftovers."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cmdg_plugin.captioning.cleaning import clean_caption
from cmdg_plugin.captioning.language import split_words
from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.regions import CAPTION_FILE_ORDER

BIN_WIDTH = 5
"""Tokens in one bar of the length histogram."""

_SAMPLE = 1000
_STOP_WORD_LIST = """a an and any appears are as at be been by for from has have he her his in into is it its no not of
on or over she that the their them there they this to under up very visible wearing with without"""
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


@dataclass
class RegionStatistics:
    """What the sentences about one region are like.

    Attributes:
        sentences: How many there are.
        mean_tokens: Mean length in CLIP tokens, with start and end.
        longest_tokens: The longest.
        over_limit: Sentences of which CLIP would cut off the end.
        token_histogram: Sentences by length: (first token count of the bar, sentences); bars of `BIN_WIDTH`.
        unique: Share of different sentences.
        distinct_pairs: Share of different word pairs in a sample of 1,000 sentences (distinct-2), so that files of
            different sizes compare.
        common_opening: Share of sentences that begin with the most frequent four words.
        near_duplicates: Share of sentences that say the same, up to order and small words, as one about another person
            (another image, where a file names no identities).
        words: Most frequent words that carry meaning, with counts.
        phrases: Most frequent runs of three words.
        openings: Most frequent first four words.
        problems: What `clean_caption` would ask again for.
        fixes: What `clean_caption` would change.
    """

    sentences: int
    mean_tokens: float
    longest_tokens: int
    over_limit: int
    token_histogram: list[tuple[int, int]]
    unique: float
    distinct_pairs: float
    common_opening: float
    near_duplicates: float
    words: list[tuple[str, int]]
    phrases: list[tuple[str, int]]
    openings: list[tuple[str, int]]
    problems: dict[str, int]
    fixes: dict[str, int]


@dataclass
class CaptionStatistics:
    """What a caption file is like.

    Attributes:
        images: Images with captions.
        identities: Different people, as far as the file names them.
        regions: Statistics by region, in caption-file order.
    """

    images: int
    identities: int
    regions: dict[str, RegionStatistics]


def describe_captions(records: Sequence[CaptionRecord], length: ClipLength, *, top: int = 15) -> CaptionStatistics:
    """Compute the statistics of a caption file; an image that several splits name counts once.

    Args:
        records: As `load_captions` gives them.
        length: Counts CLIP tokens.
        top: How many words and phrases to list.

    Raises:
        ValueError: If there are no records.
    """
    unique = list({record.file_path: record for record in records}.values())
    if not unique:
        raise ValueError('there are no captions to describe.')
    people = [record.file_path if record.identity is None else record.identity for record in unique]
    regions = {
        region: _describe_region([record.captions[number] for record in unique if record.captions], people, length, top)
        for number, region in enumerate(CAPTION_FILE_ORDER)
    }
    identities = {record.identity for record in unique} - {None}
    return CaptionStatistics(len(unique), len(identities), regions)


def _describe_region(
    sentences: list[str], people: Sequence[int | str], length: ClipLength, top: int
) -> RegionStatistics:
    words = [split_words(sentence) for sentence in sentences]
    tokens = [length.count(sentence) for sentence in sentences]
    bars = Counter(count // BIN_WIDTH * BIN_WIDTH for count in tokens)
    openings = Counter(' '.join(each[:4]) for each in words)
    problems: Counter[str] = Counter()
    fixes: Counter[str] = Counter()
    for sentence in sentences:
        clean = clean_caption(sentence, length)
        if clean.problem is not None:
            problems[clean.problem] += 1
        fixes.update(clean.fixes)
    return RegionStatistics(
        sentences=len(sentences),
        mean_tokens=sum(tokens) / len(tokens),
        longest_tokens=max(tokens),
        over_limit=sum(count > length.context_length for count in tokens),
        token_histogram=[(start, bars[start]) for start in range(0, max(bars) + 1, BIN_WIDTH)],
        unique=len(set(sentences)) / len(sentences),
        distinct_pairs=distinct_pairs(words),
        common_opening=openings.most_common(1)[0][1] / len(sentences),
        near_duplicates=near_duplicates(words, people),
        words=Counter(word for each in words for word in each if word not in _STOP_WORDS).most_common(top),
        phrases=Counter(' '.join(each[at : at + 3]) for each in words for at in range(len(each) - 2)).most_common(top),
        openings=openings.most_common(top),
        problems=dict(problems.most_common()),
        fixes=dict(fixes.most_common()),
    )


def distinct_pairs(sentences: Sequence[Sequence[str]]) -> float:
    """Share of different word pairs among all of at most 1,000 sentences, drawn the same way each time.

    Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models, NAACL 2016 (distinct-2).
    """
    chosen = sentences if len(sentences) <= _SAMPLE else random.Random(0).sample(sentences, _SAMPLE)
    pairs = [pair for words in chosen for pair in pairwise(words)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def near_duplicates(sentences: Sequence[Sequence[str]], people: Sequence[int | str]) -> float:
    """Share of sentences with the same words, up to order, repetition and small words, as one about somebody else."""
    owners: dict[frozenset[str], set[int | str]] = {}
    contents = [frozenset(words) - _STOP_WORDS for words in sentences]
    for content, person in zip(contents, people, strict=True):
        owners.setdefault(content, set()).add(person)
    return sum(len(owners[content]) > 1 for content in contents) / len(contents)
