"""Images of one or several retrieval benchmarks, each encoded once whatever the number of splits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from cmdg_plugin.datasets.paused_collector import collector_paused
from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, SourceRecord
from cmdg_plugin.datasets.transforms import read_our_way
from cmdg_plugin.files.images import UnreadableImage
from cmdg_plugin.regions import to_region_order
from cmdg_plugin.registry import DATASETS


@dataclass(frozen=True, eq=False)
class EvaluationSplit:
    """One way to ask: positions of the query (q,) and the gallery (g,) images among a target's images."""

    query: np.ndarray
    gallery: np.ndarray


@dataclass(frozen=True, eq=False)
class EvaluationTarget:
    """One benchmark of an evaluation set.

    Attributes:
        name: Name of the benchmark, as metric keys show it.
        paths: Files of its n images.
        identities: Identity of every image as the benchmark numbers them, (n,); those of sentences follow, (n + s,).
        cameras: Camera of every image as the benchmark numbers them, (n,) or (n + s,); zeros if unknown.
        captions: Four sentences of every image in region order, or None.
        splits: One or several query/gallery pairs over these images and sentences.
        offset: Position of the first image in the whole evaluation set.
        has_cameras: Whether cameras are known, hence whether the same-camera rule can apply.
        released: The split that the method's release evaluates on, where `splits` are all; scored beside their mean.
        sentences: What asks in text search, s sentences; their features are rows after those of the images.
    """

    name: str
    paths: list[str]
    identities: np.ndarray
    cameras: np.ndarray
    captions: list[tuple[str, ...] | None]
    splits: tuple[EvaluationSplit, ...]
    offset: int = 0
    has_cameras: bool = True
    released: EvaluationSplit | None = None
    sentences: tuple[str, ...] = ()

    def name_row(self, row: int) -> str:
        """Say which image or sentence a row of features is of."""
        return self.paths[row] if row < len(self.paths) else f'the sentence {self.sentences[row - len(self.paths)]!r}'


@DATASETS.register_module()
class ReIDEvaluationSet(BaseDataset):
    """Query and gallery images of several targets, every image once.

    A sample, before the pipeline, is `dict(img_path, gt_label, camera, domain, image_index, captions)` with the
    identity and camera as the target numbers them. `metainfo['targets']` holds an `EvaluationTarget` per target.

    Args:
        targets: Configs of registered sources.
        pipeline: Transforms, as in MMEngine.
        split: `'released'` (one split), `'all'` (with the released one beside them), or the position of a split in
            targets that have several.
        lazy_init: Index the targets only when first asked.

    Raises:
        ValueError: If a target has no query or no gallery, or there is no such split.
    """

    def __init__(
        self,
        targets: Sequence[Mapping[str, Any] | ReIDSource],
        pipeline: Sequence[dict | Callable] = (),
        *,
        split: str | int = 'released',
        lazy_init: bool = False,
    ) -> None:
        self.target_configs = targets
        self.split = split
        super().__init__(pipeline=read_our_way(pipeline), test_mode=True, lazy_init=lazy_init)

    @property
    def metainfo(self) -> dict:
        """Meta information; the targets are shared, not copied, as they hold every path and caption."""
        self.full_init()
        return dict(self._metainfo)

    @property
    def targets(self) -> tuple[EvaluationTarget, ...]:
        """The targets, in the order of the config."""
        return self.metainfo['targets']

    @collector_paused()
    def load_data_list(self) -> list[dict]:
        """Index all targets."""
        targets: list[EvaluationTarget] = []
        samples: list[dict] = []
        for domain, index in enumerate(load_sources(self.target_configs)):
            target = self.make_target(index, len(samples))
            targets.append(target)
            samples.extend(_samples(target, domain))
        self._metainfo['targets'] = tuple(targets)
        return samples

    def make_target(self, index: SourceIndex, offset: int = 0) -> EvaluationTarget:
        """Make a target of a source as this set's settings say; see the function of this name."""
        return make_target(index, self.split, offset=offset)

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one image.

        Raises:
            UnreadableImage: If it cannot be read: leaving it out would change what is measured.
        """
        info = self.get_data_info(idx)
        try:
            return self.pipeline(info)
        except UnreadableImage as error:
            raise UnreadableImage(
                f'{error} Restore it: scores without it would not compare. tools/check_data.py --config CONFIG lists '
                'all such images.'
            ) from error


def make_target(index: SourceIndex, split: str | int = 'released', *, offset: int = 0) -> EvaluationTarget:
    """Gather the query and gallery images of a source, every image once, or once for each number that splits give it.

    Args:
        index: The source.
        split: `'released'`, `'all'`, or the position of a split; a source with one split always gives that one.
        offset: Position of its first image in the whole evaluation set.

    Raises:
        ValueError: If a split has no query or no gallery, or there is no such split.
    """
    records: list[SourceRecord] = []
    rows: dict[tuple[str, int, int | None], int] = {}

    def positions(members: Sequence[SourceRecord]) -> np.ndarray:
        # Splits may number people anew: then an image is somebody else in each.
        keys = [(record.path, record.identity, record.camera) for record in members]
        for key, record in zip(keys, members, strict=True):
            if key not in rows:
                rows[key] = len(records)
                records.append(record)
        return np.array([rows[key] for key in keys], dtype=np.int64)

    def arrange(position: int) -> EvaluationSplit:
        roles = index.splits[position]
        if not roles.query or not roles.gallery:
            lacking = 'query' if not roles.query else 'gallery'
            raise ValueError(
                f'{index.name}: no {lacking} images, so it cannot be evaluated on; use it as a source only.'
            )
        return EvaluationSplit(query=positions(roles.query), gallery=positions(roles.gallery))

    splits = tuple(arrange(position) for position in index.positions(split))
    released = arrange(index.positions('released')[0]) if split == 'all' and len(index.splits) > 1 else None
    return EvaluationTarget(
        name=index.name,
        paths=[index.absolute(record) for record in records],
        identities=np.array([record.identity for record in records], dtype=np.int64),
        cameras=np.array([record.camera or 0 for record in records], dtype=np.int64),
        captions=[None if record.captions is None else to_region_order(record.captions) for record in records],
        splits=splits,
        offset=offset,
        has_cameras=index.has_cameras,
        released=released,
    )


def _samples(target: EvaluationTarget, domain: int) -> list[dict]:
    return [
        {
            'img_path': path,
            'gt_label': int(target.identities[row]),
            'camera': int(target.cameras[row]),
            'domain': domain,
            'image_index': target.offset + row,
            'captions': target.captions[row],
        }
        for row, path in enumerate(target.paths)
    ]
