"""From what a model answered to one caption, or to the reason why it must be asked again."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cmdg_plugin.captioning.foreign_text import (
    find_debris,
    has_code,
    has_instructions,
    has_turns,
    is_refusal,
    strip_template,
)
from cmdg_plugin.captioning.language import looks_english, split_words
from cmdg_plugin.captioning.plain_text import drop_escape_codes, drop_invisible
from cmdg_plugin.clip_length import ClipLength, split_sentences

PROBLEMS = (
    'empty',
    'refused',
    'suspicious',
    'markup',
    'not_english',
    'repeated',
    'too_short',
    'too_long',
    'cut_off',
)
"""Why an answer may not be used; `suspicious` ones hold instructions, code, turns of a chat or the API key."""

_FEWEST_WORDS = 3
_MOST_CHARACTERS = 5000
_MOST_PASSES = 5

_THINKING = re.compile(
    r'\A.*</think(?:ing)?>|<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)'
    r'|\A.*\u25c1/think\u25b7|\u25c1think\u25b7.*\Z',
    re.DOTALL | re.IGNORECASE,
)
_FENCE = re.compile(r'```\w*')
_BREAK = re.compile(r'<\s*(?:/?\s*(?:br|p|div|li|ul|ol|tr|td|h[1-6]))\s*/?>', re.IGNORECASE)
_TAG = re.compile(r'</?[a-zA-Z][^<>]{0,200}>')
_EMPHASIS = re.compile(r'(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1')
_LINE_MARK = re.compile(r'^\s*(?:#{1,6}\s+|[-*\u2022>]\s+|\d{1,2}[.)]\s+)', re.MULTILINE)
_LABEL = re.compile(
    r'^(?:caption(?:\s+1)?|description|(?:final\s+)?answer|response|output|image|option\s+a|global'
    r'|(?:upper|middle|lower|top|bottom)(?: third| part| body)?)'
    r'\s*:\s*',
    re.IGNORECASE,
)
_OPENING = re.compile(
    r'^(?:(?:sure|certainly|of course|okay|ok|absolutely)(?:\s+thing)?[,.!:]+\s*'
    r"|here(?:\s+is|\s+are|['\u2019]s)\b[^.:!\n]{0,60}\b(?:description|caption|sentence|answer|summary)s?\b[^.:!\n]{0,60}[.:!]\s*)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r'(?<=[.!?])\s+(?:let me know|i hope (?:this|that)|feel free to|please let me|would you like'
    r'|is there anything|if you (?:need|have|want|would))\b.*\Z',
    re.IGNORECASE | re.DOTALL,
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
        The caption, which is left unchanged when cleaned again, with what was changed; or the problem that remained.
    """
    fixes: dict[str, None] = {}
    # A model that never stops must not make the checks slow.
    text, complete = answer[:_MOST_CHARACTERS], complete and len(answer) <= _MOST_CHARACTERS
    for _ in range(_MOST_PASSES):
        cleaned, problem = _clean_once(text, length, complete, fixes)
        if problem is not None:
            return CleanCaption('', problem, tuple(fixes))
        if cleaned == text:
            return CleanCaption(text, None, tuple(fixes))
        text, complete = cleaned, True
    return CleanCaption('', 'markup', tuple(fixes))


def _clean_once(text: str, length: ClipLength, complete: bool, fixes: dict[str, None]) -> tuple[str, str | None]:
    for name, step in _STEPS_ON_LINES:
        text = _apply(step, text, name, fixes)
    if has_turns(text) or has_code(text):
        return '', 'suspicious'
    for name, step in _STEPS:
        text = _apply(step, text, name, fixes)
    # Before half a sentence is dropped, as that may be all there is, and before the first letter becomes a capital.
    if has_turns(text) or has_instructions(text):
        return '', 'suspicious'
    if is_refusal(text):
        return '', 'refused'
    if split_words(text) and (problem := find_debris(text)):
        return '', problem
    text = _end_with_sentence(text, complete, fixes)
    problem = _find_problem(text)
    if problem is None and not length.fits(text):
        text = length.shorten(text)
        fixes['shortened'] = None
        problem = None if text else 'too_long'
    return text, 'cut_off' if problem == 'empty' and 'cut_off' in fixes else problem


def _apply(step: Callable[[str], str], text: str, name: str | None, fixes: dict[str, None]) -> str:
    changed = step(text)
    if changed != text and name is not None:
        fixes[name] = None
    return changed


def _unwrap(text: str) -> str:
    """The one sentence that JSON holds, as in `["..."]` or `{"caption": "..."}`; anything else as it is."""
    text = _FENCE.sub('', text).strip()
    if text[:1] not in ('[', '{'):
        return text
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    while isinstance(value, list | dict) and len(value) == 1:
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
    return value if isinstance(value, str) else text


def _drop_markup(text: str) -> str:
    text = _TAG.sub('', _BREAK.sub(' ', _LINE_MARK.sub('', text)))
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
        # Marks without a letter are not a sentence.
        if words := ''.join(filter(str.isalnum, sentence)).casefold():
            kept.setdefault(words, sentence)
    return ' '.join(kept.values())


_Steps = tuple[tuple[str | None, Callable[[str], str]], ...]
_STEPS_ON_LINES: _Steps = (
    ('thinking', lambda text: _THINKING.sub('', text)),
    (None, str.strip),
    ('markup', _unwrap),
    ('markup', html.unescape),
    ('markup', drop_escape_codes),
    (None, drop_invisible),
    ('markup', strip_template),
)
_STEPS: _Steps = (
    (None, str.strip),
    ('markup', _drop_markup),
    (None, str.strip),
    ('newlines', lambda text: re.sub(r'\s*[\n\r\u2028\u2029]+\s*', ' ', text)),
    (None, lambda text: ' '.join(text.split())),
    ('quotes', _drop_quotes),
    ('preamble', _drop_preambles),
    ('preamble', lambda text: _CLOSING.sub('', text)),
    ('repeated', _drop_repeated_sentences),
)


def _end_with_sentence(text: str, complete: bool, fixes: dict[str, None]) -> str:
    if not complete:
        sentences = split_sentences(text)
        if sentences and not sentences[-1].rstrip('"\')').endswith(('.', '!', '?')):
            fixes['cut_off'] = None
            text = ' '.join(sentences[:-1])
    text = text.rstrip(' ,;:-')
    if not text:
        return text
    text = text[0].upper() + text[1:]
    return f'{text}.' if text[-1].isalnum() else text


def _find_problem(text: str) -> str | None:
    words = split_words(text)
    if not words:
        return 'empty'
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
