from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets.checking import CaptionCheck, check_captions
from cmdg_plugin.datasets.sources import SourceIndex, SourceRecord, SourceSplit


class CountingLength(ClipLength):
    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def count(self, text: str) -> int:
        self.asked.append(text)
        return super().count(text)


def record(path: str, *captions: str) -> SourceRecord:
    return SourceRecord(path, 1, captions=captions or None)


def test_lengths_and_coverage() -> None:
    long = 'word ' * 76
    first = record('a.jpg', 'one', 'two words', long, long)
    splits = (
        SourceSplit(train=(first, record('b.jpg')), query=(record('c.jpg', 'one', 'one', 'one', long),)),
        # The same images in another split count once.
        SourceSplit(gallery=(first,), val=(record('d.jpg', 'one', 'one', 'one', 'one'),)),
    )
    length = CountingLength()
    assert check_captions(SourceIndex('shop', '.', splits), length) == CaptionCheck(4, 3, longest=78, cut=3)
    assert sorted(length.asked) == sorted(['one', 'two words', long])


def test_no_captions_at_all() -> None:
    index = SourceIndex('shop', '.', (SourceSplit(train=(record('a.jpg'),)),))
    assert check_captions(index, ClipLength()) == CaptionCheck(1, 0, longest=0, cut=0)
