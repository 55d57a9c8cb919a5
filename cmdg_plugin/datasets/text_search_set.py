"""Images of one or several benchmarks that are looked for by sentences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cmdg_plugin.datasets.evaluation_set import EvaluationSplit, EvaluationTarget, ReIDEvaluationSet
from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, SourceRecord, check_subsets
from cmdg_plugin.regions import CAPTION_FILE_ORDER
from cmdg_plugin.registry import DATASETS
from cmdg_plugin.saying import say


@DATASETS.register_module()
class TextSearchSet(ReIDEvaluationSet):
    """Text-to-image person search: every sentence about an image is a query, all images are the gallery.

    Every image of the sentence's identity is a match, the one that it was written about included; there is no rule
    about cameras. This is how CUHK-PEDES, ICFG-PEDES and RSTPReid are evaluated, and any source with captions can be.
    Identities are numbered anew, from 0. Sentences are encoded by a `SentenceQueryHook`, and `ReIDMetric` ranks.

    Args:
        targets: Configs of registered sources.
        pipeline: Transforms, as in MMEngine.
        subsets: Roles of the images, out of `train`, `val`, `query`, `gallery`, or `all` for the four. The test images
            by default; `('val',)` to choose settings.
        regions: Which of an image's four captions ask, out of `global`, `upper`, `middle`, `lower`, where its source
            gives four. All of them are compared with the image's global feature.
        split: Which split of sources that have several: `'released'` or a position.
        lazy_init: Index the targets only when first asked.

    Raises:
        ValueError: If a setting is unknown, a target has no image of these roles, or no sentence is about one.
    """

    def __init__(
        self,
        targets: Sequence[Mapping[str, Any] | ReIDSource],
        pipeline: Sequence[dict | Callable] = (),
        *,
        subsets: str | Iterable[str] = ('query', 'gallery'),
        regions: Sequence[str] = ('global',),
        split: str | int = 'released',
        lazy_init: bool = False,
    ) -> None:
        self.subsets = check_subsets(subsets)
        self.regions = (regions,) if isinstance(regions, str) else tuple(regions)
        if not self.regions or not set(self.regions) <= set(CAPTION_FILE_ORDER):
            raise ValueError(f'expected regions out of {", ".join(CAPTION_FILE_ORDER)}, got {list(self.regions)}.')
        if split == 'all':
            raise ValueError("text search looks through one split: expected 'released' or a position, got 'all'.")
        super().__init__(targets, pipeline, split=split, lazy_init=lazy_init)

    def make_target(self, index: SourceIndex, offset: int = 0) -> EvaluationTarget:
        """Make a target of a source as this set's settings say.

        Raises:
            ValueError: See the class.
        """
        records = self._records(index)
        asking = [(identity, text) for identity, record in records for text in self._sentences(record)]
        if not asking:
            raise ValueError(
                f'{index.name}: no sentence is about any of its {len(records):,} images of the roles '
                f'{", ".join(self.subsets)}, so none can be looked for.'
            )
        mute = sum(not self._sentences(record) for _, record in records)
        if mute:
            say(f'{index.name}: no sentence asks for {mute:,} of {len(records):,} images; they fill the gallery.')
        images = len(records)
        identities = [identity for identity, _ in (*records, *asking)]
        return EvaluationTarget(
            name=index.name,
            paths=[index.absolute(record) for _, record in records],
            identities=np.array(identities, dtype=np.int64),
            cameras=np.zeros(len(identities), dtype=np.int64),
            captions=[None] * images,
            splits=(EvaluationSplit(query=np.arange(images, len(identities)), gallery=np.arange(images)),),
            offset=offset,
            has_cameras=False,
            sentences=tuple(text for _, text in asking),
        )

    def _records(self, index: SourceIndex) -> list[tuple[int, SourceRecord]]:
        """The images of the chosen roles, each once, with their identities numbered from 0."""
        found = {record.path: record for role, record in index.split(self.split).members() if role in self.subsets}
        if not found:
            raise ValueError(f'{index.name}: no images of the roles {", ".join(self.subsets)}.')
        # One number may mean two people, one in training and one in test images.
        identities = sorted({(record.scope, record.identity) for record in found.values()})
        number = {identity: position for position, identity in enumerate(identities)}
        return [(number[record.scope, record.identity], record) for record in found.values()]

    def _sentences(self, record: SourceRecord) -> tuple[str, ...]:
        if record.distractor:
            return ()
        if record.sentences or record.captions is None:
            return record.sentences
        by_region = dict(zip(CAPTION_FILE_ORDER, record.captions, strict=True))
        return tuple(by_region[region] for region in self.regions)
