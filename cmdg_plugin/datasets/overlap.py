"""Whether a model was trained on images that it is tested on: public datasets that hold images of others."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS, TEXT_BENCHMARKS

_HOLDS = {name: frozenset(each.holds) for name, each in {**BENCHMARKS, **TEXT_BENCHMARKS}.items()}
_KNOWN = sorted({*_HOLDS, *(inner for names in _HOLDS.values() for inner in names)})
_PLACES = ('root', 'path', 'caption_file')


def find_overlaps(targets: Iterable[str], trained_on: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Find targets that share images with what a model was trained on.

    A dataset does not overlap with itself here: its training and test images are other ones.

    Args:
        targets: Names of the targets.
        trained_on: Names of public datasets, from `trained_datasets`.

    Returns:
        By target, the datasets among `trained_on` that share images with it, sorted; targets without any are not there.
    """
    trained = sorted(set(trained_on))
    found = {
        target: tuple(name for name in trained if name != target and _origins(name) & _origins(target))
        for target in targets
    }
    return {target: names for target, names in found.items() if names}


def mark_overlaps(targets: Iterable[str], trained_on: Iterable[str], known: bool = True) -> dict[str, str]:
    """Say of targets what a reader of their scores must know.

    Args:
        targets: Names of the targets.
        trained_on: As for `find_overlaps`.
        known: Whether these are all that the model was trained on.

    Returns:
        A sentence by target, for those that overlap and, where it is not known what the model was trained on, for those
        that hold images of other datasets.
    """
    targets = list(targets)
    overlaps = find_overlaps(targets, trained_on)
    marks = {
        target: f'shares images with {", ".join(names)}, which the model was trained on; it is not an unseen domain.'
        for target, names in overlaps.items()
    }
    for target in targets:
        held = sorted(_HOLDS.get(target, ()))
        if held and not known and target not in marks:
            marks[target] = f'holds images of {", ".join(held)}; whether the model was trained on them is not known.'
    return marks


def trained_datasets(config: Mapping[str, Any]) -> set[str] | None:
    """Tell which public datasets a config trains on, by the names and places of its sources.

    Args:
        config: A config, also one read from a checkpoint.

    Returns:
        Names of public datasets; None where the config does not say what it trains on.
    """
    sources = ((config.get('train_dataloader') or {}).get('dataset') or {}).get('sources')
    if not isinstance(sources, (list, tuple)):
        return None
    return {name for source in sources for word in _words(source) for name in _KNOWN if _plain(name) in _plain(word)}


def _origins(name: str) -> frozenset[str]:
    return _HOLDS.get(name, frozenset()) | {name}


def _words(source: Any) -> Iterator[str]:
    """What a source calls itself and the last parts of where it lies, also of one inside of it."""
    if not isinstance(source, Mapping):
        return
    yield str(source.get('name', ''))
    yield from (PurePath(str(source[place])).name for place in _PLACES if source.get(place))
    yield from _words(source.get('source'))


def _plain(name: str) -> str:
    return re.sub(r'[^a-z0-9]', '', name.lower())
