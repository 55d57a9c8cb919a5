"""A torchreid model trained by torchreid on data that this plugin reads: the baseline beside ours."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.runner import set_random_seed

from cmdg_plugin.toolboxes.torchreid_datasets import register_benchmarks, register_islands
from cmdg_plugin.toolboxes.torchreid_scores import ScoreKeeper, rankable
from cmdg_plugin.torchreid_import import import_torchreid


@dataclass(frozen=True)
class Recipe:
    """How a torchreid model is trained; softmax loss with label smoothing, Adam, cosine schedule.

    Attributes:
        model: Name of a torchreid model; its weights start at random, as no hub is asked.
        epochs: Passes over the training images.
        image_size: Height and width.
        batch_size: Images of a batch.
        learning_rate: First rate of the cosine.
        seed: Seed of weights and order.
    """

    model: str = 'osnet_x0_25'
    epochs: int = 20
    image_size: tuple[int, int] = (96, 48)
    batch_size: int = 32
    learning_rate: float = 1.5e-3
    seed: int = 0


def train_with_torchreid(
    recipe: Recipe, sources: Sequence[str], targets: Sequence[str], data_root: str, work_dir: str
) -> dict[str, float]:
    """Train and test a torchreid model.

    Args:
        recipe: How.
        sources: Names that torchreid knows, see `evaluate_with_torchreid`.
        targets: Likewise.
        data_root: Folder of all datasets.
        work_dir: Folder for torchreid's checkpoint.

    Returns:
        `<target>/mAP`, `<target>/R1` and their `average/...` after the last epoch, in percent, unrounded.

    Raises:
        ImportError: If torchreid is missing.
        ValueError: If a dataset is unknown, or a gallery is too small for torchreid's ranking.
    """
    register_islands()
    register_benchmarks()
    set_random_seed(recipe.seed)
    on_gpu = torch.cuda.is_available()
    manager = import_torchreid('data').ImageDataManager(
        root=str(data_root),
        sources=list(sources),
        targets=list(targets),
        height=recipe.image_size[0],
        width=recipe.image_size[1],
        transforms=['random_flip', 'random_crop'],
        batch_size_train=recipe.batch_size,
        batch_size_test=128,
        workers=0,
        use_gpu=on_gpu,
    )
    ranks = rankable(manager.test_dataset)
    model = import_torchreid('models').build_model(
        recipe.model, num_classes=manager.num_train_pids, loss='softmax', pretrained=False, use_gpu=on_gpu
    )
    model.to('cuda' if on_gpu else 'cpu')
    optim = import_torchreid('optim')
    optimizer = optim.build_optimizer(model, optim='adam', lr=recipe.learning_rate)
    scheduler = optim.build_lr_scheduler(optimizer, lr_scheduler='cosine', max_epoch=recipe.epochs)
    engine = import_torchreid('engine').ImageSoftmaxEngine(manager, model, optimizer, scheduler, use_gpu=on_gpu)
    engine.writer = keeper = ScoreKeeper()
    engine.run(save_dir=str(work_dir), max_epoch=recipe.epochs, print_freq=20, ranks=ranks)
    return keeper.with_average()
