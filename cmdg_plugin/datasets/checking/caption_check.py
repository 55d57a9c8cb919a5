"""How many of a dataset's images have captions, and how long these are."""

from collections import Counter
from dataclasses import dataclass

from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.progress import track


@dataclass(frozen=True)
class CaptionCheck:
    """Captions of a dataset.

    Attributes:
        images: Images of all roles and splits, each once.
        covered: Those with captions, or with sentences for text search.
        longest: CLIP tokens of the longest sentence, with start and end; 0 without captions.
        cut: Sentences whose end CLIP does not read.
    """

    images: int
    covered: int
    longest: int
    cut: int


def check_captions(index: SourceIndex, length: ClipLength) -> CaptionCheck:
    """Count captions and their tokens; a sentence that many images share is measured once."""
    captions = [record.sentences or record.captions or () for record in index.images().values()]
    sentences = Counter(sentence for described in captions for sentence in described)
    what = f'{index.name}: measuring captions'
    tokens = {sentence: length.count(sentence) for sentence in track(sentences, what, unit='sentence')}
    return CaptionCheck(
        images=len(captions),
        covered=sum(map(bool, captions)),
        longest=max(tokens.values(), default=0),
        cut=sum(sentences[sentence] for sentence, count in tokens.items() if count > length.context_length),
    )
