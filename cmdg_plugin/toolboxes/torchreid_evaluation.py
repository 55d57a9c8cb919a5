"""Evaluation of our model by torchreid: its data manager, its feature extraction, its metrics."""

from collections.abc import Sequence
from typing import Any

from cmdg_plugin.toolboxes.torchreid_datasets import register_benchmarks, register_islands
from cmdg_plugin.toolboxes.torchreid_scores import ScoreKeeper, rankable
from cmdg_plugin.toolboxes.torchreid_transform import TorchreidTransform
from cmdg_plugin.torchreid_import import import_torchreid


def evaluate_with_torchreid(
    model: Any,
    targets: Sequence[str],
    data_root: str,
    *,
    batch_size: int = 128,
    num_workers: int = 0,
    show_dir: str | None = None,
) -> dict[str, float]:
    """Let torchreid's engine test a model.

    Args:
        model: From `cmdg_plugin.apis.init_model`.
        targets: Names that torchreid knows: its own datasets, Islands' domains, `cmdg_<name>` for a public dataset with
            the released split, and whatever `register_source` was given.
        data_root: Folder of all datasets.
        batch_size: Images encoded at a time.
        num_workers: Processes that read images beside this one.
        show_dir: Folder for torchreid's pictures of ranked results; None draws none.

    Returns:
        `<target>/mAP`, `<target>/R1` and their `average/...`, in percent, unrounded.

    Raises:
        ImportError: If torchreid is missing.
        ValueError: If a target is unknown, or its gallery is too small for torchreid's ranking.
    """
    register_islands()
    register_benchmarks()
    on_gpu = next(model.parameters()).is_cuda
    height, width = model.backbone.image_size
    manager = import_torchreid('data').ImageDataManager(
        root=str(data_root),
        sources=list(targets),  # it insists on training data, of which nothing is used here
        targets=list(targets),
        height=height,
        width=width,
        batch_size_test=batch_size,
        workers=num_workers,
        train_sampler='SequentialSampler',
        use_gpu=on_gpu,
    )
    manager.sources = []  # or the targets would be called sources
    ranks = rankable(manager.test_dataset)
    transform = TorchreidTransform(model)
    for loaders in manager.test_loader.values():
        for loader in loaders.values():
            loader.dataset.transform = transform
    engine = import_torchreid('engine').Engine(manager, use_gpu=on_gpu)
    engine.model = model
    engine.register_model('model', model)
    engine.writer = keeper = ScoreKeeper()
    engine.test(ranks=ranks, visrank=show_dir is not None, save_dir=str(show_dir or ''))
    return keeper.with_average()
