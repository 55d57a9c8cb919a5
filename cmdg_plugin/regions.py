"""The body regions that images, captions and features speak about, in the one order used everywhere."""

REGIONS: tuple[str, ...] = ('upper', 'middle', 'lower', 'global')
"""Region order of every feature and caption tensor: the three body thirds, then the whole person."""

PARTS: tuple[str, ...] = REGIONS[:3]
"""The regions that the memory bank compares across identities."""

GLOBAL = REGIONS.index('global')
"""Position of the whole person in that order."""

CAPTION_FILE_ORDER: tuple[str, ...] = ('global', 'upper', 'middle', 'lower')
"""Order of the four sentences in caption files and in `CaptionRecord.captions`."""


def to_region_order(captions: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Reorder four sentences from caption-file order to region order.

    Args:
        captions: Four sentences as `CAPTION_FILE_ORDER` names them.

    Returns:
        The same sentences as `REGIONS` names them.
    """
    by_name = dict(zip(CAPTION_FILE_ORDER, captions, strict=True))
    return tuple(by_name[name] for name in REGIONS)
