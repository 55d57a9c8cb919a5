"""Time and memory of our ranking beside torchreid's Python ranking, in one process on the same random features.

    python tools/benchmarks/benchmark_ranking.py [--threads 1] [--full | --rerank]

`--full` also ranks at MSMT17's size (11,659 x 82,161), ours only: torchreid's needs about 23 GB there. `--rerank`
measures k-reciprocal re-ranking instead: beside torchreid's function on a tenth of Market-1501, and ours at its size.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measuring import peak_memory, report
from torch import Tensor

from cmdg_plugin.evaluation import rank_distances, rank_reranked, rank_retrieval, rerank_distances
from cmdg_plugin.torchreid_import import import_torchreid


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time our ranking against torchreid.')
    parser.add_argument('--queries', type=int, default=3000)
    parser.add_argument('--gallery', type=int, default=20000)
    parser.add_argument('--dimensions', type=int, default=1280)
    parser.add_argument('--identities', type=int, default=1000)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--full', action='store_true', help="also rank at MSMT17's size, ours only")
    parser.add_argument('--rerank', action='store_true', help='measure k-reciprocal re-ranking instead')
    return parser.parse_args()


def make_set(queries: int, gallery: int, dimensions: int, identities: int, cameras: int = 15) -> tuple[Any, ...]:
    """Features that cluster by identity, identities and cameras, in the order that `rank_retrieval` takes them."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(identities, dimensions, generator=generator)
    ids = [torch.randint(identities, (size,), generator=generator) for size in (queries, gallery)]
    features: list[Tensor] = []
    for labels in ids:
        noise = torch.randn(len(labels), dimensions, generator=generator).mul_(4).add_(centers[labels])
        features.append(torch.nn.functional.normalize(noise, dim=1))
    camera_ids = [torch.randint(cameras, (size,), generator=generator) for size in (queries, gallery)]
    return (*features, *(labels.numpy() for labels in (*ids, *camera_ids)))


def timed(name: str, function: Callable[[], Any]) -> tuple[float, Any]:
    """Run once and report the seconds."""
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    report(f'{name:<58} {seconds:8.2f} s')
    return seconds, result


def warm_up(query: Tensor, gallery: Tensor, device: str) -> None:
    """Rank a little, so that no first call's set-up is timed."""
    labels = np.zeros(100, dtype=np.int64)
    rank_retrieval(query[:100], gallery[:100], labels, labels, labels, labels + 1, device=device)


def compare(features: tuple[Tensor, Tensor], labels: tuple[np.ndarray, ...], device: str) -> None:
    """Time both on the same set, with and without the distance matrix, and check that the scores agree."""
    metrics, rank = import_torchreid('metrics'), import_torchreid('metrics.rank')
    warm_up(*features, device)
    matrix_time, matrix = timed(
        'torchreid: distance matrix', lambda: metrics.compute_distance_matrix(*features).numpy()
    )
    their_time, (cmc, mean_precision) = timed(
        'torchreid: evaluate_rank (Python)',
        lambda: rank.evaluate_rank(matrix, *labels, max_rank=50, use_metric_cuhk03=False, use_cython=False),
    )
    rank_time, ranked = timed('ours: rank_distances (same matrix)', lambda: rank_distances(matrix, *labels))
    full_time, result = timed(
        'ours: rank_retrieval (features to scores)', lambda: rank_retrieval(*features, *labels, device=device)
    )
    from_features = (matrix_time + their_time) / full_time
    report(f'faster on a ready-made matrix: {their_time / rank_time:.0f}x, from features: {from_features:.0f}x')
    for name, scores in (('rank_distances', ranked), ('rank_retrieval', result)):
        difference = max(abs(scores.mAP - mean_precision), float(np.abs(scores.cmc - cmc).max()))
        report(f'largest difference of {name} to torchreid: {difference:.1e} (mAP {100 * scores.mAP:.2f}%)')


def measure_full(dimensions: int, device: str) -> None:
    """Rank at MSMT17's size; report the seconds and the memory on top of the features."""
    query, gallery, *labels = make_set(11_659, 82_161, dimensions, 3_060)
    warm_up(query, gallery, device)
    extra, (_, result) = peak_memory(
        lambda: timed(
            'ours: rank_retrieval, 11,659 x 82,161', lambda: rank_retrieval(query, gallery, *labels, device=device)
        )
    )
    report(f'peak memory beside the features: {extra:.0f} MiB (mAP {100 * result.mAP:.2f}%)')


def measure_reranking(dimensions: int, device: str) -> None:
    """Re-rank at Market-1501's size, junk left out; then a tenth of it beside torchreid."""
    query, gallery, *labels = make_set(3_368, 15_913, dimensions, 750, cameras=6)
    warm_up(query, gallery, device)
    plain_time, plain = timed('rank_retrieval', lambda: rank_retrieval(query, gallery, *labels, device=device))
    extra, (seconds, result) = peak_memory(
        lambda: timed(
            'ours: rank_reranked, 3,368 x 15,913', lambda: rank_reranked(query, gallery, *labels, device=device)
        )
    )
    report(f'{seconds / plain_time:.1f}x the time of plain ranking, peak memory beside the features: {extra:.0f} MiB')
    report(f'mAP {100 * plain.mAP:.2f}% -> {100 * result.mAP:.2f}%')
    compare_reranking(query[::10], gallery[::10], device)


def compare_reranking(query: Tensor, gallery: Tensor, device: str) -> None:
    """Time ours and torchreid's function on the same features, and check that they agree."""
    re_ranking = import_torchreid('utils.rerank').re_ranking

    def theirs() -> np.ndarray:
        pairs = ((query, gallery), (query, query), (gallery, gallery))
        return re_ranking(*(torch.cdist(*pair).numpy() for pair in pairs))

    size = f'{len(query):,} x {len(gallery):,}'
    their_time, expected = timed(f'torchreid: re_ranking, {size}', theirs)
    our_time, distance = timed(
        f'ours: rerank_distances, {size}', lambda: rerank_distances(query, gallery, device=device)
    )
    report(f'faster: {their_time / our_time:.0f}x, largest difference {np.abs(distance - expected).max():.1e}')


def main() -> None:
    """Run what the command line asks for."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    if arguments.rerank:
        measure_reranking(arguments.dimensions, arguments.device)
        return
    size = f'{arguments.queries:,} queries, {arguments.gallery:,} gallery images, {arguments.dimensions} dimensions'
    report(f'{size}, {arguments.threads} thread(s), {arguments.device}')
    if arguments.full:  # first, as memory that earlier work left behind would hide what ranking takes
        measure_full(arguments.dimensions, arguments.device)
    query, gallery, *labels = make_set(arguments.queries, arguments.gallery, arguments.dimensions, arguments.identities)
    compare((query, gallery), tuple(labels), arguments.device)


if __name__ == '__main__':
    main()
