"""File names whose first number is perhaps not a person's."""

import re
from collections.abc import Callable, Iterable, Iterator

_YEAR, _MONTH, _DAY = r'(?:19|20)\d\d', r'(?:0[1-9]|1[0-2])', r'(?:0[1-9]|[12]\d|3[01])'
_DATE = re.compile(rf'(?:{_YEAR}([-_.]?){_MONTH}\1{_DAY}|{_DAY}([-_.]){_MONTH}\2{_YEAR})(?!\d)|\d{{10,}}', re.ASCII)
_CUHK03 = re.compile(r'\d_\d{3,}_[12]_\d+\.', re.ASCII)
_CAMERA_LATER = re.compile(
    r'(?:^|[_.\- ])(?:c(?:am(?:era)?)?_?\d|cam(?:era)?[_-]?[a-z](?![a-z]))', re.ASCII | re.IGNORECASE
)
_READ_CAMERA = re.compile(r'-?\d+_c(?:am(?:era)?_?)?\d', re.ASCII | re.IGNORECASE)

_DOUBTS: tuple[tuple[Callable[[str], object], str], ...] = (
    (_DATE.match, 'begin with what looks like a date or a time; it was read as the number of the person'),
    (
        _CUHK03.match,
        "look like CUHK03's (pair_person_view_image); the pair of cameras was read as the number of the person",
    ),
    (
        lambda name: _CAMERA_LATER.search(name) and not _READ_CAMERA.match(name),
        'name a camera, but not as a number right after that of the person, so it was not read',
    ),
)
_RULE = 'names are read as IDENTITY_cCAMERA_ANYTHING.jpg: rename the images, or give an index'


def find_doubts(paths: Iterable[str]) -> Iterator[str]:
    """Say which names may mean something else than what is read from them."""
    names = [path.rpartition('/')[2] for path in paths]
    for doubtful, what in _DOUBTS:
        found = [name for name in names if doubtful(name)]
        if found:
            yield f'{len(found):,} of {len(names):,} names, such as {min(found)}, {what}; {_RULE}'
