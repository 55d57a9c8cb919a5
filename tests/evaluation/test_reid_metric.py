import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ranks import run_on_ranks
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample

from cmdg_plugin.datasets.evaluation_set import EvaluationTarget
from cmdg_plugin.evaluation import ReIDMetric
from cmdg_plugin.evaluation.held_out import HoldingOut, score_open_set
from cmdg_plugin.evaluation.target_scores import rank_target


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(90, 8, generator=torch.Generator().manual_seed(0))


def run(
    metric: ReIDMetric,
    targets: tuple[EvaluationTarget, ...],
    features: torch.Tensor,
    order: list[int] | np.ndarray,
    batch_size: int = 7,
) -> dict[str, float]:
    """Feed an evaluation set to the metric as mmengine's evaluator does."""
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {'targets': targets}
    for start in range(0, len(order), batch_size):
        samples = []
        for image in order[start : start + batch_size]:
            sample = DataSample(metainfo={'img_path': 'x'})
            sample.set_field(features[image], 'feature')
            sample.set_field(int(image), 'image_index')
            samples.append(sample)
        evaluator.process(samples)
    return evaluator.evaluate(len(order))


def test_rows_of_all_targets_and_their_average(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor
) -> None:
    order = np.random.default_rng(0).permutation(90)
    metrics = run(ReIDMetric(), targets, features, order)
    expected = {}
    for target, rows in zip(targets, (features[:60], features[60:]), strict=True):
        expected |= {f'{target.name}/{key}': value for key, value in rank_target(rows.numpy(), target)[0].items()}
    for name in ('mAP', 'R1', 'R5', 'R10', 'mINP'):
        expected[f'average/{name}'] = (expected[f'street/{name}'] + expected[f'hall/{name}']) / 2
    assert metrics == pytest.approx(expected)
    assert 'hall/mAP_std' in metrics
    assert 'street/mAP_std' not in metrics


def test_averages_of_released_splits(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor
) -> None:
    street, hall = targets
    hall = replace(hall, released=hall.splits[2])
    metrics = run(ReIDMetric(), (street, hall), features, np.arange(90))
    for name in ('mAP', 'R1', 'R5', 'R10', 'mINP'):
        assert metrics[f'average/{name}'] == pytest.approx((metrics[f'street/{name}'] + metrics[f'hall/{name}']) / 2)
        # A target of one split has no other.
        mean = (metrics[f'street/{name}'] + metrics[f'hall/{name}_released']) / 2
        assert metrics[f'average/{name}_released'] == pytest.approx(mean)
    assert 'street/mAP_released' not in metrics
    assert not any(key.endswith('_released') for key in run(ReIDMetric(), targets, features, np.arange(90)))


def test_reranked_rows_and_their_averages(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor
) -> None:
    street, hall = targets
    targets = (street, replace(hall, released=hall.splits[2]))
    metrics = run(ReIDMetric(rerank=True), targets, features, np.arange(90))
    plain = run(ReIDMetric(), targets, features, np.arange(90))
    assert {name: metrics[name] for name in plain} == plain
    for name in ('mAP', 'R1', 'R5', 'R10', 'mINP'):
        mean = (metrics[f'street/{name}_rerank'] + metrics[f'hall/{name}_rerank']) / 2
        assert metrics[f'average/{name}_rerank'] == pytest.approx(mean)
        mean = (metrics[f'street/{name}_rerank'] + metrics[f'hall/{name}_released_rerank']) / 2
        assert metrics[f'average/{name}_released_rerank'] == pytest.approx(mean)
    other = run(ReIDMetric(rerank={'k1': 5, 'k2': 2, 'lambda_value': 0.1}), targets, features, np.arange(90))
    assert other['street/mAP_rerank'] != metrics['street/mAP_rerank']
    with pytest.raises(ValueError, match='k1 must be a positive integer, got 0'):
        ReIDMetric(rerank={'k1': 0})


def test_open_set_scores_stand_beside_the_others(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor
) -> None:
    plain = run(ReIDMetric(), targets, features, np.arange(90))
    metrics = run(ReIDMetric(open_set={'share': 0.7}, rerank=True), targets, features, np.arange(90))
    assert {name: metrics[name] for name in plain} == plain
    street = {'street/TPIR10': score_open_set(features[:60].numpy(), targets[0], HoldingOut(share=0.7))['TPIR10']}
    # `hall` has too few queries of absent people, hence no average either.
    assert {name: value for name, value in metrics.items() if 'TPIR' in name} == street
    alone = run(ReIDMetric(open_set={'share': 0.7}), targets[:1], features, np.arange(60))
    assert alone['average/TPIR10'] == alone['street/TPIR10']
    with pytest.raises(ValueError, match=r'open_set\.share'):
        ReIDMetric(open_set={'share': 2})


def test_targets_without_anybody_to_hold_out_are_refused_at_once(make_target: Callable[..., EvaluationTarget]) -> None:
    target = make_target('one', [1, 1, 2], [0, 1, 0], [([0], [1, 2])], 0)
    ReIDMetric().dataset_meta = {'targets': (target,)}
    with pytest.raises(ValueError, match="Target 'one': open-set scores need two"):
        ReIDMetric(open_set=True).dataset_meta = {'targets': (target,)}


def test_ranked_queries_are_kept_on_request(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor
) -> None:
    metric = ReIDMetric(num_ranked_queries=3)
    run(metric, targets, features, np.arange(90))
    assert list(metric.ranked) == ['street', 'hall']
    assert [len(queries) for queries in metric.ranked.values()] == [3, 3]
    assert metric.ranked['hall'][0].query_path.startswith('hall/')
    extremes = ReIDMetric(num_worst_queries=1, num_best_queries=1)
    metrics = run(extremes, targets, features, np.arange(90))
    worst, best = extremes.ranked['street']
    assert (worst.chosen_as, best.chosen_as) == ('worst', 'best')
    assert worst.average_precision < metrics['street/mAP'] / 100 < best.average_precision
    silent = ReIDMetric()
    run(silent, targets, features, np.arange(90))
    assert silent.ranked == {}


def test_half_precision_features_and_tensor_indices(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor
) -> None:
    metric = ReIDMetric()
    metric.dataset_meta = {'targets': targets}
    for image in range(90):
        metric.process(None, [{'image_index': torch.tensor([image]), 'feature': features[image].bfloat16()}])
    expected = run(ReIDMetric(), targets, features.bfloat16().float(), np.arange(90))
    assert metric.evaluate(90) == pytest.approx(expected)


def test_builds_by_name_from_another_scope_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    from mmpretrain.registry import METRICS

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        metric = METRICS.build({'type': 'cmdg_plugin.ReIDMetric', 'num_ranked_queries': 1})
    assert type(metric) is ReIDMetric
    assert 'prefix is not set' not in caplog.text


@pytest.mark.parametrize(
    ('order', 'message'),
    [
        ([*range(50), *range(53, 90)], r'3 of 90 images missing \(first: image 50, street/50.jpg\)'),
        ([*range(90), 61], r'1 of 90 images came twice \(first: image 61, hall/1.jpg\)'),
        ([], r'90 of 90 images missing'),
    ],
)
def test_missing_and_repeated_images_are_errors(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor, order: list, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(ReIDMetric(), targets, features, order)


def test_other_bad_input_is_refused(
    targets: tuple[EvaluationTarget, EvaluationTarget],
    features: torch.Tensor,
    make_target: Callable[..., EvaluationTarget],
) -> None:
    with pytest.raises(ValueError, match='feature of image 60, but the evaluation set has 60 images'):
        run(ReIDMetric(), targets[:1], features, np.arange(90))
    with pytest.raises(ValueError, match="needs 'feature' in every data sample, got"):
        ReIDMetric().process(None, [{'image_index': 0}])
    with pytest.raises(ValueError, match="no 'targets' in the dataset's meta information"):
        ReIDMetric().evaluate(0)
    with pytest.raises(ValueError, match=r"different names.*\['street', 'street'\]"):
        run(ReIDMetric(), (targets[0], targets[0]), features, np.arange(90))
    with pytest.raises(ValueError, match='num_ranked_queries must not be negative'):
        ReIDMetric(num_ranked_queries=-1)
    with pytest.raises(ValueError, match='num_worst_queries must not be negative, got -2'):
        ReIDMetric(num_worst_queries=-2)


def test_a_target_without_a_valid_query_is_refused_before_any_feature_comes(
    targets: tuple[EvaluationTarget, EvaluationTarget],
) -> None:
    street, hall = targets
    one_camera = replace(street, cameras=np.zeros_like(street.cameras))
    with pytest.raises(ValueError, match=r"Target 'street': None of the .* queries has a valid match"):
        ReIDMetric().dataset_meta = {'targets': (one_camera, hall)}


def test_collected_rows_do_not_drag_their_batch_along(features: torch.Tensor) -> None:
    metric = ReIDMetric()
    metric.process(None, [{'image_index': image, 'feature': features[image]} for image in range(90)])
    assert len(pickle.dumps(metric.results[0])) < 500  # the batch takes 2,880 bytes


def _on_ranks(rank: int, ranks: int, folder: Path) -> None:
    import pickle

    from mmengine.dataset import DefaultSampler

    from cmdg_plugin.evaluation import ReIDMetric

    targets, features = pickle.loads((folder / 'inputs.pkl').read_bytes())
    dataset = features[:-1]  # an odd number of images: the sampler repeats the first one at the end
    order = list(DefaultSampler(dataset, shuffle=False))
    metric = ReIDMetric(collect_dir=f'{folder}/collect')
    metric.dataset_meta = {'targets': targets}
    metric.process(None, [{'image_index': image, 'feature': features[image]} for image in order])
    (folder / f'metrics{rank}.pkl').write_bytes(pickle.dumps((len(order), metric.evaluate(len(dataset)))))


def test_two_ranks_give_the_scores_of_one(
    targets: tuple[EvaluationTarget, EvaluationTarget], features: torch.Tensor, tmp_path: Path
) -> None:
    street, hall = targets
    splits = tuple(replace(split, gallery=split.gallery[split.gallery < 29]) for split in hall.splits)
    splits = tuple(replace(split, query=split.query[split.query < 29]) for split in splits)
    shorter = (street, replace(hall, paths=hall.paths[:29], splits=splits))
    (tmp_path / 'inputs.pkl').write_bytes(pickle.dumps((shorter, features)))
    run_on_ranks(_on_ranks, tmp_path)
    expected = run(ReIDMetric(), shorter, features, np.arange(89))
    for rank in range(2):
        num_images, metrics = pickle.loads((tmp_path / f'metrics{rank}.pkl').read_bytes())
        assert num_images == 45
        assert metrics == pytest.approx(expected)
