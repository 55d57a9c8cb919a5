"""File names whose first number is perhaps not a person's."""

import re
from collections.abc import Callable, Iterable, Iterator

_DATE = re.compile(r'(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)|\d{10,}', re.ASCII)
_CUHK03 = re.compile(r'\d_\d{3,}_[12]_\d+\.', re.ASCII)
_CAMERA_LATER = re.compile(r'(?:^|[_.\- ])c(?:am(?:era)?)?_?\d', re.ASCII | re.IGNORECASE)
_READ_CAMERA = re.compile(r'-?\d+_c(?:am(?:era)?_?)?\d', re.ASCII | re.IGNORECASE)

_DOUBTS: tuple[tuple[Callable[[str], object], str], ...] = (
    (_DATE.match, 'begin with what looks like a date or a time; it was read as the number of the person'),
    (
        _CUHK03.match,
        "look like CUHK03's (pair_person_view_image); the pair of cameras was read as the number of the person",
    ),
    (
        lambda name: _CAMERA_LATER.search(name) and not _READ_CAMERA.match(name),
        'name a camera, but not right after the number of the person, so it was not read',
    ),
)
_RULE = 'names are read as IDENTITY_cCAMERA_ANYTHING.jpg: rename the images, or give an index'


def find_doubts(paths: Iterable[str]) -> Iterator[str]:
    """Say which names may mean something else than what is read from them.

    Args:
        paths: Images whose identity was read from the name.
    """
    names = [path.rpartition('/')[2] for path in paths]
    for doubtful, what in _DOUBTS:
        found = [name for name in names if doubtful(name)]
        if found:
            yield f'{len(found):,} of {len(names):,} names, such as {min(found)}, {what}; {_RULE}'
