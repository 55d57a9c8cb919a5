"""Telling an English caption from one in another language, without a model."""

import re
import unicodedata

_COMMON_WORD_LIST = """
a about across against all also an and another any appears are around as at background be been behind being below
beside between both but by can carrying each few for from front hair has have he her his holding in into is it its
just left light long looking man near next no not of off on one only or other out over partially per person right
seems she short shorts side that the their them there they this three to toward towards two under up very visible
walking wearing wears which while who whose with without woman worn

beige black blue brown dark gray green grey navy orange pale pink purple red white yellow backpack bag belt boots
cap coat dress glasses gloves handbag hat hood jacket jeans pants scarf shirt shoes skirt sleeves sneakers socks
striped suit sweater trousers umbrella
"""
_COMMON_WORDS = frozenset(_COMMON_WORD_LIST.split())
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_LATIN_SHARE = 0.9
_COMMON_SHARE = 0.25
_FEW_WORDS = 4


def split_words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def looks_english(text: str) -> bool:
    """Whether a caption is written in English, as far as its letters and its small words tell.

    Nine of ten letters must be Latin, and a quarter of the words common in English captions of people; with four words
    or fewer, one of them. It notices a model that fell into another language; it is not a language detector.
    """
    words = split_words(text)
    if not words or not (text.isascii() or _mostly_latin(text)):
        return False
    common = sum(word in _COMMON_WORDS for word in words)
    return common >= (1 if len(words) <= _FEW_WORDS else _COMMON_SHARE * len(words))


def _mostly_latin(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    latin = sum(letter.isascii() or 'LATIN' in unicodedata.name(letter, '') for letter in letters)
    return latin >= _LATIN_SHARE * len(letters)
