from collections import Counter
from dataclasses import asdict

import pytest

from cmdg_plugin.captioning.caption_statistics import describe_captions, distinct_pairs, near_duplicates
from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets import CaptionRecord

LENGTH = ClipLength()


def record(path: str, upper: str, identity: int | None = None, other: str = 'A man in a red coat.') -> CaptionRecord:
    return CaptionRecord(path, (other, upper, other, other), identity)


def test_numbers_by_hand() -> None:
    uppers = ['A red hat.', 'A red hat.', 'The image shows a blue cap and a scarf.', "I'm sorry, I cannot help."]
    records = [record(f'{number}.jpg', upper, number // 2) for number, upper in enumerate(uppers)]
    statistics = describe_captions([*records, records[0]], LENGTH, top=2)
    assert (statistics.images, statistics.identities) == (4, 2)
    region = statistics.regions['upper']
    # CLIP tokens with start and end: 4 + 2, 4 + 2, 10 + 2, 9 + 2.
    lengths = [LENGTH.count(text) for text in uppers]
    assert lengths == [6, 6, 12, 10]
    assert region.mean_tokens == sum(lengths) / 4
    assert region.longest_tokens == 12
    assert region.token_histogram == [(0, 0), (5, 2), (10, 2)]
    assert region.unique == 0.75
    assert region.words == [('red', 2), ('hat', 2)]
    assert region.phrases[0] == ('a red hat', 2)
    assert region.common_opening == 0.5
    assert region.openings[0] == ('a red hat', 2)
    assert region.problems == {'refused': 1}
    assert region.fixes == {'preamble': 1}
    # The two red hats are one person's.
    assert region.near_duplicates == 0.0
    assert statistics.regions['global'].near_duplicates == 1.0
    assert asdict(statistics)['regions']['upper']['over_limit'] == 0


def test_over_limit() -> None:
    records = [record('a.jpg', 'A coat ' * 50)]
    assert describe_captions(records, LENGTH).regions['upper'].over_limit == 1


def test_near_duplicates_ignore_order_and_small_words() -> None:
    sentences = [['a', 'red', 'hat'], ['hat', 'the', 'red', 'red'], ['blue', 'hat'], ['blue', 'hat']]
    assert near_duplicates(sentences, [1, 2, 3, 3]) == 0.5
    assert near_duplicates(sentences, ['a', 'b', 'c', 'd']) == 1.0


def test_distinct_pairs_of_a_loop() -> None:
    sentences = [['a', 'b', 'c'], ['a', 'b', 'd'], ['x']]
    seen = Counter()
    for words in sentences:
        for at in range(len(words) - 1):
            seen[words[at], words[at + 1]] += 1
    assert distinct_pairs(sentences) == len(seen) / sum(seen.values()) == 0.75
    assert distinct_pairs([['x']]) == 0.0


def test_distinct_pairs_do_not_fall_with_the_size_of_the_file() -> None:
    same = [[f'w{number}', f'v{number}'] for number in range(5000)]
    assert distinct_pairs(same) == 1.0


def test_nothing_to_describe() -> None:
    with pytest.raises(ValueError, match='no captions'):
        describe_captions([], LENGTH)
