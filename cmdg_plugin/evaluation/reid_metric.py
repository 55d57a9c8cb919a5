"""The retrieval metric of validation and test loops."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from cmdg_plugin.datasets.evaluation_set import EvaluationTarget
from cmdg_plugin.evaluation.held_out import OPEN_SET_SCORES, HoldingOut, hold_out, score_open_set
from cmdg_plugin.evaluation.ranked_queries import RankedQuery, rank_some_queries
from cmdg_plugin.evaluation.reranking import Reranking
from cmdg_plugin.evaluation.shared_rows import join_shared_rows
from cmdg_plugin.evaluation.target_scores import RELEASED, RERANKED, SCORES, check_target, rank_target
from cmdg_plugin.registry import METRICS


@METRICS.register_module()
class ReIDMetric(BaseMetric):
    """Scores the features of an evaluation set: mAP, CMC and mINP of each target and their average, in percent.

    Every image's feature is collected once; the query/gallery splits of the targets (`metainfo['targets']` of
    `ReIDEvaluationSet`) are then ranked by `rank_retrieval`. Keys: `<target>/mAP`, `/R1`, `/R5`, `/R10`, `/mINP`,
    with several splits their mean plus `<target>/mAP_std` and `/R1_std`; `average/mAP`, ... over the targets. Where the
    released split stands beside all splits, the same five for it: `<target>/mAP_released`, ...,
    `average/mAP_released`, ...
    With re-ranking all of them a second time: `<target>/mAP_rerank`, `average/mAP_released_rerank`, ...
    In an open set `<target>/TPIR1` and `/TPIR10`, too, the true-positive identification rates at 1% and 10% false
    positives, see `score_open_set`; `average/TPIR1` where every target has it.

    Targets of `TextSearchSet` are asked for by sentences, whose features a `SentenceQueryHook` gives.

    Args:
        rerank: Whether to score k-reciprocal re-ranking, too; a dict sets its numbers, as
            `dict(k1=20, k2=6, lambda_value=0.3)`; see `Reranking`.
        open_set: Whether to score a gallery from which some query identities are held out, too; a dict sets which, as
            `dict(share=0.5, seed=0)`; see `HoldingOut`.
        num_ranked_queries: How many queries per target to keep in `ranked` for pictures, evenly spaced.
        num_worst_queries: How many of lowest average precision to keep there, too.
        num_best_queries: How many of highest average precision to keep there, too.
        chunk_size: See `rank_retrieval`.
        device: See `rank_retrieval`.
        collect_device: See mmengine's `BaseMetric`.
        prefix: Put in front of every key; none by default, as keys begin with a target's name.
        collect_dir: See mmengine's `BaseMetric`.

    Attributes:
        ranked: After an evaluation, on the main process: some `RankedQuery` per target.
        sentence_features: Features (s, D) of the sentences that ask, by target.
    """

    default_prefix = ''  # not None, of which mmengine warns

    def __init__(
        self,
        *,
        rerank: bool | dict[str, Any] = False,
        open_set: bool | dict[str, Any] = False,
        num_ranked_queries: int = 0,
        num_worst_queries: int = 0,
        num_best_queries: int = 0,
        chunk_size: int | None = None,
        device: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.shown = {'num_queries': num_ranked_queries, 'num_worst': num_worst_queries, 'num_best': num_best_queries}
        for name, number in zip(('ranked', 'worst', 'best'), self.shown.values(), strict=True):
            if number < 0:
                raise ValueError(f'num_{name}_queries must not be negative, got {number}.')
        settings = rerank if isinstance(rerank, dict) else {}
        self.reranking = None if rerank is False else Reranking(**settings)
        self.holding_out = None if open_set is False else HoldingOut(**(open_set if isinstance(open_set, dict) else {}))
        self.chunk_size = chunk_size
        self.device = device
        self.ranked: dict[str, list[RankedQuery]] = {}
        self.sentence_features: dict[str, np.ndarray] = {}

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the evaluation set."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Take it, and find now what would make the first evaluation fail, which may be a whole training away.

        Raises:
            ValueError: If targets share a name, no query of a target can have a match, or nobody can be held out.
        """
        self._dataset_meta = dataset_meta
        if dataset_meta and dataset_meta.get('targets'):
            for target in self._targets():
                check_target(target)
                if self.holding_out is not None:
                    for split in (*target.splits, *([target.released] if target.released else [])):
                        hold_out(target, split, self.holding_out)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep position and feature of each image of a batch.

        Args:
            data_batch: Not used.
            data_samples: Outputs of the model with `image_index` (position in the evaluation set) and `feature` (D,).

        Raises:
            ValueError: If a sample lacks one of the two, or nobody encoded the sentences that ask.
        """
        targets = (self.dataset_meta or {}).get('targets', ())
        mute = [each.name for each in targets if each.sentences and each.name not in self.sentence_features]
        if mute:
            raise ValueError(
                f'Nobody encoded the sentences that ask for the images of {", ".join(mute)}: add '
                "dict(type='cmdg_plugin.SentenceQueryHook') to custom_hooks."
            )
        for key in ('image_index', 'feature'):
            if any(sample.get(key) is None for sample in data_samples):
                raise ValueError(
                    f'ReIDMetric needs {key!r} in every data sample, got {sorted(data_samples[0])}. `image_index` '
                    "comes from ReIDEvaluationSet through PackInputs' algorithm_keys, `feature` from the model's "
                    'predict mode.'
                )
        # NumPy rows, as a row of a tensor drags its whole batch along when ranks exchange results.
        features = torch.stack([sample['feature'].detach().flatten() for sample in data_samples]).float().cpu().numpy()
        self.results.extend(
            (int(sample['image_index']), row) for sample, row in zip(data_samples, features, strict=True)
        )

    def compute_metrics(self, results: list[tuple[int, np.ndarray]]) -> dict[str, float]:
        """Score all targets.

        Args:
            results: Position and feature of every image.

        Returns:
            Scores in percent, see the class.

        Raises:
            ValueError: If images are missing or came twice, or a target cannot be ranked.
        """
        targets = self._targets()
        features = _arrange(results, targets)
        metrics: dict[str, float] = {}
        self.ranked = {}
        for target in targets:
            rows = features[target.offset : target.offset + len(target.paths)]
            if target.sentences:
                rows = join_shared_rows(rows, self.sentence_features[target.name])
            scores, first = rank_target(
                rows, target, reranking=self.reranking, chunk_size=self.chunk_size, device=self.device
            )
            if self.holding_out is not None:
                scores |= score_open_set(rows, target, self.holding_out, chunk_size=self.chunk_size, device=self.device)
            metrics |= {f'{target.name}/{name}': value for name, value in scores.items()}
            if any(self.shown.values()):
                self.ranked[target.name] = rank_some_queries(
                    rows, target, average_precision=first.average_precision, **self.shown
                )
        return metrics | _average(metrics, targets)

    def _targets(self) -> tuple[EvaluationTarget, ...]:
        targets = (self.dataset_meta or {}).get('targets')
        if not targets:
            raise ValueError(
                "ReIDMetric finds no 'targets' in the dataset's meta information; use it with a ReIDEvaluationSet."
            )
        names = [target.name for target in targets]
        if len(set(names)) < len(names) or 'average' in names:
            raise ValueError(f"Targets need different names, none of them 'average', got {names}.")
        return tuple(targets)


def _average(metrics: dict[str, float], targets: Sequence[EvaluationTarget]) -> dict[str, float]:
    """Averages of each score over the targets; a target of one split has that one for its released split, too."""
    splits = ('', RELEASED) if any(target.released is not None for target in targets) else ('',)
    reranked = any(f'{target.name}/{SCORES[0]}{RERANKED}' in metrics for target in targets)
    averages = {}
    for split, again, name in product(splits, ('', RERANKED) if reranked else ('',), (*SCORES, *OPEN_SET_SCORES)):
        rows = [f'{target.name}/{name}{split if target.released is not None else ""}{again}' for target in targets]
        if name in SCORES or all(row in metrics for row in rows):
            averages[f'average/{name}{split}{again}'] = float(np.mean([metrics[row] for row in rows]))
    return averages


def _arrange(results: list[tuple[int, np.ndarray]], targets: tuple[EvaluationTarget, ...]) -> np.ndarray:
    """Features in the order of the evaluation set, shape (N, D), each image exactly once."""
    paths = [path for target in targets for path in target.paths]
    positions = np.array([position for position, _ in results], dtype=np.int64)
    strange = positions[(positions < 0) | (positions >= len(paths))]
    if len(strange):
        raise ValueError(
            f'Got a feature of image {strange[0]}, but the evaluation set has {len(paths)} images: model outputs and '
            'meta information come from different datasets.'
        )
    counts = np.bincount(positions, minlength=len(paths))
    for wrong, what in ((counts == 0, 'missing'), (counts > 1, 'came twice')):
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f'Features of {np.count_nonzero(wrong)} of {len(paths)} images {what} (first: image {first}, '
                f'{paths[first]}). Every image must be encoded exactly once: check the sampler, which must neither '
                'drop nor repeat (drop_last=False, DefaultSampler with shuffle=False).'
            )
    features = np.empty((len(paths), len(results[0][1])), dtype=np.float32)
    for position, row in results:
        features[position] = row
    return features
