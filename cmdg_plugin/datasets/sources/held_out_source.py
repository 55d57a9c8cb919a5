"""A source domain put aside to choose settings on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cmdg_plugin.datasets.sources.index import (
    ReIDSource,
    SourceIndex,
    SourceRecord,
    SourceSplit,
    build_source,
    check_source,
    load_source,
)
from cmdg_plugin.registry import SOURCES


@SOURCES.register_module()
class HeldOutSource:
    """All people of a source, its training people too, as queries and gallery.

    Settings chosen by their scores on a target are fitted to it. Train on all sources but one, and choose on that one:
    since none of its images is trained on, every person of it can be asked for, which makes scores less noisy than its
    test people alone would. The first image of each person and camera, by path, is a query and the others are the
    gallery; an image alone with its person and camera goes to the gallery, where queries of other cameras find it.

    Args:
        source: Config of a registered source, or a source.

    Raises:
        ValueError: If its cameras are unknown, or no identity was seen by two.
    """

    index_version = 1

    def __init__(self, source: Mapping[str, Any] | ReIDSource) -> None:
        self.source = build_source(source)
        self.name = self.source.name

    def check(self) -> None:
        """Look whether the source is there, if it can tell."""
        check_source(self.source)

    def load(self) -> SourceIndex:
        """Index the source and share its images out anew."""
        index = load_source(self.source)
        if not index.has_cameras:
            raise ValueError(f'{self.name}: its cameras are unknown, so no query can ask for another camera.')
        groups: dict[tuple[int, int | None], list[SourceRecord]] = {}
        for record in _numbered_as_one(index.select(['all'])):
            groups.setdefault((record.identity, record.camera), []).append(record)
        query: list[SourceRecord] = []
        gallery: list[SourceRecord] = []
        for first, *others in groups.values():
            if others:
                query.append(first)
            else:
                gallery.append(first)
            gallery += others
        seen_by = {(record.identity, record.camera) for record in gallery}
        if not any(identity == q.identity and camera != q.camera for q in query for identity, camera in seen_by):
            raise ValueError(f'{self.name}: nobody was seen twice by one camera and once by another.')
        gallery += [replace(record, identity=0) for record in index.split().gallery if record.distractor]
        return replace(
            index, splits=(SourceSplit(query=tuple(query), gallery=tuple(gallery)),), released=0, num_listed=None
        )


def _numbered_as_one(records: list[SourceRecord]) -> list[SourceRecord]:
    """Number identities over training and test images, where one number may mean two; from 1; 0 is nobody."""
    identities = sorted({(record.scope, record.identity) for record in records})
    number = {identity: position for position, identity in enumerate(identities, start=1)}
    return [replace(record, identity=number[record.scope, record.identity]) for record in records]
