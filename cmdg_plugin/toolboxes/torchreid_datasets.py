"""Our sources as torchreid datasets: its data managers then load Islands and any captioned data by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from cmdg_plugin.datasets.evaluation_set import make_target
from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources import BENCHMARKS
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord
from cmdg_plugin.evaluation.target_scores import effective_cameras, split_rows
from cmdg_plugin.files.images import read_image
from cmdg_plugin.regions import to_region_order
from cmdg_plugin.torchreid_import import import_torchreid

Items = list[tuple[str, int, int]]
"""Images as torchreid lists them: path, person, camera."""

PREFIX = 'cmdg_'
"""Before the names of the public datasets, as torchreid has readers of its own by the plain names."""

_registered: dict[str, tuple[dict[str, Any], str | int]] = {}


def register_source(name: str, source: Mapping[str, Any], *, split: str | int = 'released') -> None:
    """Make a source known to torchreid, which then reads images as this plugin does; again, it changes nothing.

    torchreid's `root` reaches the source where its settings say `{root}`::

        register_source('mine', dict(type='CaptionFileSource', name='mine', root='{root}/mine',
                                     caption_file='{root}/mine.json'))
        torchreid.data.ImageDataManager(root='data', sources='mine')

    Args:
        name: Name in torchreid.
        source: Config of a registered source.
        split: Which split of a source that has several: `'released'` or a position.

    Raises:
        ImportError: If torchreid is missing.
        ValueError: If the name is taken by another dataset.
    """
    settings = dict(source), split
    if _registered.get(name) == settings:
        return
    datasets = import_torchreid('data.datasets')
    datasets.register_image_dataset(name, _make_dataset_class(name, *settings))
    # Its own clips 16 bits to white, leaves photos on their side, and tries damaged files again without end. Replaced
    # there, and not in our class, as torchreid makes its own class of several datasets.
    import_torchreid('data.datasets.dataset').read_image = read_image  # type: ignore[attr-defined]
    _registered[name] = settings


def register_islands() -> None:
    """Make the six domains of Islands known to torchreid, by their names, in `<root>/islands`."""
    from cmdg_plugin.islands import SOURCE_DOMAINS, TARGET_DOMAINS

    for domain in (*SOURCE_DOMAINS, *TARGET_DOMAINS):
        register_source(domain, {'type': 'IslandsSource', 'domain': domain, 'root': '{root}/islands'})


def register_benchmarks() -> None:
    """Make the nine public datasets known to torchreid as `cmdg_<name>`: in either layout, with the released split."""
    for name in BENCHMARKS:
        register_source(PREFIX + name, {'type': 'BenchmarkSource', 'name': name, 'data_root': '{root}'})


def _make_dataset_class(name: str, source: Mapping[str, Any], split: str | int) -> type:
    base = import_torchreid('data.datasets.dataset').ImageDataset

    class SourceDataset(base):  # type: ignore[misc, valid-type]
        """A source of ours; `captions` has the four sentences (region order) of an image by its path."""

        def __init__(self, root: str = '', **kwargs: Any) -> None:
            (index,) = load_sources([_fill(source, root)])
            which = split if len(index.splits) > 1 else 'released'
            records = index.select(('train',), which)
            train = _list_training(index, records)
            query, gallery, captions = _list_test(index, which)
            # Its base class wants an image in each role; torchreid's own readers place one in the same way.
            self._train_only = not query
            self._junk_pids = sorted({record.identity for record in index.split(which).gallery if record.distractor})
            self.captions = captions | {
                index.absolute(record): to_region_order(record.captions) for record in records if record.captions
            }
            super().__init__(
                train or [(path, 0, 0) for path, _, _ in query[:1]], query or train[:1], gallery or train[:1], **kwargs
            )

    SourceDataset.__name__ = SourceDataset.__qualname__ = name
    return SourceDataset


def _fill(settings: Mapping[str, Any], root: str) -> dict[str, Any]:
    return {
        key: value.replace('{root}', str(root)) if isinstance(value, str) else value for key, value in settings.items()
    }


def _list_training(index: SourceIndex, records: Sequence[SourceRecord]) -> Items:
    people = {key: number for number, key in enumerate(sorted({(r.scope, r.identity) for r in records}))}
    cameras = {camera: number for number, camera in enumerate(sorted({r.camera or 0 for r in records}))}
    return [(index.absolute(r), people[r.scope, r.identity], cameras[r.camera or 0]) for r in records]


def _list_test(index: SourceIndex, split: str | int) -> tuple[Items, Items, dict[str, tuple[str, ...]]]:
    """List query and gallery as our own metric compares them, and their captions."""
    roles = index.split(split)
    if not roles.query or not roles.gallery:
        return [], [], {}
    target = make_target(index, split)
    cameras = effective_cameras(target)
    query, gallery = (
        [(target.paths[row], int(target.identities[row]), int(cameras[row])) for row in rows]
        for rows in split_rows(target, target.splits[0])
    )
    captions = {path: four for path, four in zip(target.paths, target.captions, strict=True) if four is not None}
    return query, gallery, captions
