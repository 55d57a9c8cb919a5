"""From what a model answered to one caption, or to the reason why it must be asked again."""

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from cmdg_plugin.captioning.language import looks_english, split_words
from cmdg_plugin.clip_length import ClipLength, split_sentences

PROBLEMS = ('empty', 'refused', 'markup', 'not_english', 'repeated', 'too_short', 'too_long', 'cut_off')
"""Why an answer may not be used; each has a correction in the prompts file."""

_FEWEST_WORDS = 3
_MOST_CHARACTERS = 5000

_THINKING = re.compile(r'<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)', re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r'```\w*')
_TAG = re.compile(r'</?[a-zA-Z][^<>]{0,200}>|<\|[^<>]{0,50}\|>')
_EMPHASIS = re.compile(r'(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1')
_LINE_MARK = re.compile(r'^\s*(?:#{1,6}\s+|[-*\u2022>]\s+|\d{1,2}[.)]\s+)', re.MULTILINE)
_LABEL = re.compile(
    r'^(?:caption|description|answer|response|output|global|(?:upper|middle|lower|top|bottom)(?: third| part| body)?)'
    r'\s*:\s*',
    re.IGNORECASE,
)
_OPENING = re.compile(
    r'^(?:(?:sure|certainly|of course|okay|ok|absolutely)(?:\s+thing)?[,.!:]+\s*'
    r"|here(?:\s+is|\s+are|['\u2019]s)\b[^.:!\n]{0,60}\b(?:description|caption|sentence|answer|summary)s?\b[^.:!\n]{0,60}[.:!]\s*)",
    re.IGNORECASE,
)
_PLACE = (
    r'(?:the|this)\s+(?:(?:upper|middle|lower|top|bottom|central|cropped|given|provided)\s+)*'
    r'(?:(?:third|part|portion|half|section)\s+of\s+(?:the|this)\s+)?(?:image|picture|photo|photograph|frame)'
)
_PREAMBLE = re.compile(
    rf'^(?:{_PLACE}\s+(?:shows|depicts|displays|features|captures|contains|reveals|presents|is of)\s*(?:that\s+)?'
    rf'|(?:in|from|within)\s+{_PLACE},?\s*(?:(?:we|you|i|one)\s+(?:can\s+)?see\s+)?)',
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r'^(?:(?:i\W?m|i am|we are)\s+(?:very\s+|so\s+)?(?:sorry|unable|not able|afraid)|sorry\b|my apologies'
    r'|i apologi[sz]e|unfortunately'
    r'|i\s+(?:can\s?not|can\W?t|could\s?n\W?t|could not|do not|don\W?t|will not|won\W?t|must decline)\b'
    r'|as an ai\b|it is not possible to|no person\b|there is no (?:person|image))',
    re.IGNORECASE,
)
_LEFT_MARKUP = re.compile(r'[<>{}|\\^~`]|&#?\w+;|\[[^\]]*\]\(|https?://|\*\*|\ufffd')
_REPEATED_WORDS = 3


@dataclass(frozen=True, slots=True)
class CleanCaption:
    """What an answer came to.

    Attributes:
        text: The caption on one line; empty where there is a problem.
        problem: One of `PROBLEMS`, or None.
        fixes: What had to be changed: `thinking`, `markup`, `newlines`, `preamble`, `quotes`, `repeated`, `shortened`,
            `cut_off`.
    """

    text: str
    problem: str | None
    fixes: tuple[str, ...]


def clean_caption(answer: str, length: ClipLength, complete: bool = True) -> CleanCaption:
    """Turn an answer into a caption that can be trained on.

    Args:
        answer: What the model wrote.
        length: Counts CLIP tokens.
        complete: Whether the model ended by itself; where not, the last half sentence is dropped.

    Returns:
        The caption with what was changed, or the problem that remained.
    """
    fixes: list[str] = []
    # A model that never stops must not make the checks slow.
    text = unicodedata.normalize('NFC', answer[:_MOST_CHARACTERS])
    for name, step in _STEPS:
        changed = step(text)
        if changed != text and name is not None:
            fixes.append(name)
        text = changed
    if _REFUSAL.match(text):
        return CleanCaption('', 'refused', tuple(fixes))
    complete = complete and len(answer) <= _MOST_CHARACTERS
    text = _end_with_sentence(text, complete, fixes)
    problem = _find_problem(text)
    if problem is None and not length.fits(text):
        text = length.shorten(text)
        fixes.append('shortened')
        problem = None if text else 'too_long'
    if problem == 'empty' and 'cut_off' in fixes:
        problem = 'cut_off'
    return CleanCaption('' if problem else text, problem, tuple(fixes))


def _drop_controls(text: str) -> str:
    if text.isprintable():
        return text
    return ''.join(char for char in text if char in '\n\t\r' or unicodedata.category(char) not in ('Cc', 'Cf', 'Co'))


def _drop_markup(text: str) -> str:
    text = html.unescape(_LINE_MARK.sub('', _FENCE.sub('', text)))
    text = _TAG.sub('', text)
    while (plain := _EMPHASIS.sub(r'\2', text)) != text:
        text = plain
    return text


def _drop_quotes(text: str) -> str:
    text = text.strip()
    for opening, closing in ('""', "''", '\u201c\u201d', '\u2018\u2019'):
        if len(text) > 1 and text[0] == opening and text[-1] == closing and opening not in text[1:-1]:
            return text[1:-1].strip()
    return text


def _drop_preambles(text: str) -> str:
    before = None
    while before != text:
        before = text
        for pattern in (_OPENING, _LABEL, _PREAMBLE):
            text = _drop_quotes(pattern.sub('', text, count=1).lstrip(' ,'))
    return text


def _drop_repeated_sentences(text: str) -> str:
    kept: dict[str, str] = {}
    for sentence in split_sentences(text):
        kept.setdefault(' '.join(split_words(sentence)) or sentence, sentence)
    return ' '.join(kept.values())


_STEPS: tuple[tuple[str | None, Callable[[str], str]], ...] = (
    ('thinking', lambda text: _THINKING.sub('', text)),
    (None, _drop_controls),
    (None, str.strip),
    ('markup', _drop_markup),
    (None, str.strip),
    ('newlines', lambda text: re.sub(r'\s*[\n\r\u2028\u2029]+\s*', ' ', text)),
    (None, lambda text: ' '.join(text.split())),
    ('quotes', _drop_quotes),
    ('preamble', _drop_preambles),
    ('repeated', _drop_repeated_sentences),
)


def _end_with_sentence(text: str, complete: bool, fixes: list[str]) -> str:
    if not complete:
        sentences = split_sentences(text)
        if sentences and not sentences[-1].rstrip('"\')').endswith(('.', '!', '?')):
            fixes.append('cut_off')
            text = ' '.join(sentences[:-1])
    if not text:
        return text
    text = text[0].upper() + text[1:]
    if text[-1].isalnum():
        return f'{text}.'
    return f'{text[:-1].rstrip()}.' if text[-1] in ',;:-' else text


def _find_problem(text: str) -> str | None:
    words = split_words(text)
    if not words:
        return 'empty'
    if _LEFT_MARKUP.search(text):
        return 'markup'
    if not looks_english(text):
        return 'not_english'
    if _has_loop(words):
        return 'repeated'
    return 'too_short' if len(words) < _FEWEST_WORDS else None


def _has_loop(words: list[str]) -> bool:
    """Whether some words come three times in a row, as in `a bag and a bag and a bag and`."""
    for size in range(1, len(words) // _REPEATED_WORDS + 1):
        same = 0
        # The last round of a longer run often ends early.
        enough = size * (_REPEATED_WORDS - 1) - (size > 2)
        for position in range(size, len(words)):
            same = same + 1 if words[position] == words[position - size] else 0
            if same >= enough:
                return True
    return False
