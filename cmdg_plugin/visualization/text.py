"""Breaking text into lines that fit a width in pixels.

Pictures are drawn with Pillow, as matplotlib does this worse: it breaks lines at the edge of a figure alone, so that
names of files broke inside of their numbers, and what colors a text does not span the frame below it.
"""

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_ELLIPSIS = '...'
_SEPARATORS = '_- '


def wrap_words(text: str, font: Font, width: int) -> list[str]:
    """Break a sentence between words; a word wider than a line is broken inside."""
    lines = ['']
    for word in text.split():
        joined = f'{lines[-1]} {word}'.strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        pieces = wrap_characters(word, font, width)
        lines = [line for line in (*lines, *pieces) if line]
    return lines


def wrap_characters(text: str, font: Font, width: int, *, max_lines: int | None = None) -> list[str]:
    """Break a name anywhere; where it does not fit, its middle gives way to dots.

    Args:
        text: What to write.
        font: What to write it with.
        width: Pixels a line may take.
        max_lines: Lines it may take; any number by default.
    """
    lines = _break(text, font, width)
    kept = len(text)
    while max_lines is not None and len(lines) > max_lines and kept > 1:
        kept -= 1
        # The end of a file name tells more than its start.
        head, tail = text[: kept // 2], text[len(text) - (kept - kept // 2) :]
        lines = _break(head + _ELLIPSIS + tail, font, width)
    return lines


def _break(text: str, font: Font, width: int) -> list[str]:
    lines = ['']
    for character in text:
        if lines[-1] and font.getlength(lines[-1] + character) > width:
            # Rather after a separator, unless that leaves a line mostly empty.
            cut = 1 + max(lines[-1].rfind(separator) for separator in _SEPARATORS)
            cut = cut if cut > len(lines[-1]) // 2 else len(lines[-1])
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
        lines[-1] += character
    return lines
