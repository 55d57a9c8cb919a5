"""Whether an image is still the one that a line of the journal is about."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

STATE_KEYS = ('size', 'changed')
"""What a line notes of the image's file: bytes, and the time of its last change in whole seconds since 1970.

Whole ones, as drives that keep no fractions would otherwise change every image that is copied to them.
"""


def image_state(path: Path) -> dict[str, int]:
    """What a line of the journal notes of an image's file; nothing where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        # A journal from elsewhere may hold a path that is none.
        return {}
    return {'size': status.st_size, 'changed': int(status.st_mtime)}


def has_changed(entry: Mapping[str, Any], path: Path) -> bool:
    """Whether another image lies there now than an entry of the journal is about.

    Args:
        entry: The entry. One that notes no state, as older versions wrote them, is about whatever lies there.
        path: The image's file. Where it is gone, the entry still holds.
    """
    noted = {key: entry[key] for key in STATE_KEYS if key in entry}
    if not noted:
        return False
    now = image_state(path)
    return bool(now) and now != noted
