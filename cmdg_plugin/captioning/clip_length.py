"""How many of CLIP's 77 text tokens a caption takes, and shortening it at the end of a sentence."""

import re

CONTEXT_LENGTH = 77
"""Tokens that CLIP's text tower reads, with the one at the start and the one at the end."""

_SENTENCE_END = re.compile(r'(?<=[.!?])["\')]*\s+')


class ClipLength:
    """Counts tokens with open_clip's own tokenizer.

    Args:
        context_length: The most a caption may take.
    """

    def __init__(self, context_length: int = CONTEXT_LENGTH) -> None:
        # Here, as it reads a vocabulary of 49,152 words that only a run needs.
        from open_clip.tokenizer import SimpleTokenizer

        self.context_length = context_length
        self._tokenizer = SimpleTokenizer()

    def count(self, text: str) -> int:
        """Tokens of a text, with start and end."""
        return len(self._tokenizer.encode(text)) + 2

    def fits(self, text: str) -> bool:
        """Whether nothing of a text would be cut off."""
        return self.count(text) <= self.context_length

    def shorten(self, text: str) -> str:
        """The most whole sentences from the start of a text that fit; empty where the first one does not."""
        kept = ''
        for sentence in split_sentences(text):
            longer = f'{kept} {sentence}' if kept else sentence
            if not self.fits(longer):
                break
            kept = longer
        return kept


def split_sentences(text: str) -> list[str]:
    """The sentences of a text on one line."""
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]
