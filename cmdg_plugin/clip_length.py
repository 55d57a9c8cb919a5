"""How many of CLIP's 77 text tokens a caption takes, and shortening it at the end of a sentence."""

import re
from functools import cache

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
        # Found out once for each word, as captions share few.
        self._word_length = cache(self._count_word)

    def count(self, text: str) -> int:
        """Tokens of a text, with start and end."""
        # Repairing broken text takes most of a tokenizer's time, and in plain text there is nothing to repair.
        plain = text.isascii() and text.isprintable() and '&' not in text
        clean = text.lower() if plain else self._tokenizer.clean_fn(text)
        return sum(map(self._word_length, self._tokenizer.pat.findall(clean))) + 2

    def _count_word(self, word: str) -> int:
        symbols = ''.join(self._tokenizer.byte_encoder[byte] for byte in word.encode(errors='surrogatepass'))
        return len(self._tokenizer.bpe(symbols).split(' '))

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
