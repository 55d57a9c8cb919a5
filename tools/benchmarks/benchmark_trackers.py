"""Do trackers lose fewer people with an exported model? Identity switches, IDF1 and HOTA on drawn clips.

    pip install -r requirements/trackers.txt
    python tools/benchmarks/benchmark_trackers.py work_dirs/toy.onnx --out work_dirs/trackers.json

Every tracker gets the same detections of the same clips (`tools/draw_clip.py`), and goes by motion alone, by its own
appearance model where its weights come with the package, by the exported model, and by perfect features. The model is
used at the tracker's own threshold of appearance, and at one chosen on clips of the training domains: where as many
pairs of different people pass as pairs of one person fail. Scores are those of Roboflow's `trackers`, which follow
TrackEval. Differences are clip by clip against the tracker's first row, with 95% intervals (Student's t). Clips are
drawn once, and clips whose scores are in --out already are not tracked again.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from measuring import report
from tracker_consumers import CONSUMERS, boxmot_features, read_clip

from cmdg_plugin.ablation import estimate_mean
from cmdg_plugin.ablation.table import format_estimate
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.islands import SOURCE_DOMAINS, TARGET_DOMAINS, write_clip

OURS, CHOSEN = 'this model', 'this model, threshold from training domains'
SCORES = ('IDSW', 'IDF1', 'HOTA')
PACKAGES = ('ultralytics', 'boxmot', 'deep-sort-realtime', 'trackers', 'onnxruntime')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Track drawn clips with and without an exported model.')
    parser.add_argument('model', type=Path, help='file of tools/export.py, .onnx')
    parser.add_argument(
        '--domains', nargs='+', default=list(TARGET_DOMAINS), help='default: those nothing is trained on'
    )
    parser.add_argument('--seeds', type=int, default=8, help='clips of each domain (default: 8)')
    parser.add_argument('--frames', type=int, default=120, help='of each clip (default: 120)')
    parser.add_argument('--clips', type=Path, default=Path('data/clips'), help='folder of the clips')
    parser.add_argument('--trackers', nargs='+', choices=CONSUMERS, default=list(CONSUMERS), help='default: all')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/trackers.json'), help='scores of every clip, JSON')
    return parser.parse_args()


def main() -> None:
    """Draw clips, track, report."""
    args = parse_arguments()
    missing = [
        module for module in ('trackers', 'boxmot', 'ultralytics', 'deep_sort_realtime') if not _is_there(module)
    ]
    if missing:
        sys.exit(f'{", ".join(missing)} not installed: pip install -r requirements/trackers.txt')
    if not args.model.is_file():
        sys.exit(f'No model at {args.model}: write one with tools/export.py.')
    logging.disable(logging.INFO)
    threshold = choose_threshold(args.model, [_clip(args, name, seed=0) for name in SOURCE_DOMAINS])
    versions = ', '.join(f'{name} {importlib.metadata.version(name)}' for name in PACKAGES)
    report(f'threshold from training domains: cosine distance {threshold:.3f}\n{versions}')
    settings = {'model': hashlib.sha256(args.model.read_bytes()).hexdigest(), 'versions': versions}
    scores = read_scores(args.out, settings)
    for seed, domain in itertools.product(range(args.seeds), args.domains):
        folder = _clip(args, domain, seed)
        found = scores.setdefault(folder.name, {})
        for name in args.trackers:
            if not any(row.startswith(name) for row in found):
                found.update(track_all(name, folder, str(args.model), threshold))
                write_whole(args.out, json.dumps({**settings, 'scores': scores}, indent=1))
    for domain in args.domains:
        clips = [scores[_clip(args, domain, seed).name] for seed in range(args.seeds)]
        report(f'\n### {domain}, {len(clips)} clips\n\n{format_table(clips, args.trackers)}')


def read_scores(path: Path, settings: dict[str, str]) -> dict[str, dict[str, dict[str, float]]]:
    """Read scores by clip and row that an earlier call has written for the same model and packages."""
    known = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    return known['scores'] if {name: known.get(name) for name in settings} == settings else {}


def choose_threshold(model: Path, folders: Iterable[Path]) -> float:
    """Find the cosine distance at which as many pairs of different people pass as pairs of one person fail.

    Args:
        model: The exported model.
        folders: Clips of domains that may be looked at.
    """
    same, other = [], []
    for folder in folders:
        frames = [frame for frame in list(read_clip(folder))[::5] if len(frame.boxes)]
        features = [np.asarray(boxmot_features(str(model))(frame.boxes[:, :4], frame.image)) for frame in frames]
        # Of neighbors in time, as trackers compare them.
        for near in range(1, 6):
            for first, second in zip(range(len(frames)), range(near, len(frames)), strict=False):
                distances = 1 - features[first] @ features[second].T
                alike = frames[first].identities[:, None] == frames[second].identities
                same.append(distances[alike])
                other.append(distances[~alike])
    fails, passes = np.sort(np.concatenate(same)), np.sort(np.concatenate(other))
    candidates = np.linspace(0, 1, 1001)
    too_far = 1 - np.searchsorted(fails, candidates) / len(fails)
    let_in = np.searchsorted(passes, candidates) / len(passes)
    return float(candidates[np.abs(too_far - let_in).argmin()])


def track_all(name: str, folder: Path, model: str, threshold: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the scores of a tracker with everything that it can go by, on one clip."""
    clip = list(read_clip(folder))
    track, (base, perfect) = CONSUMERS[name]
    ways = ((base, base, None), (OURS, model, None), (CHOSEN, model, threshold), (perfect, perfect, None))
    for what, by, limit in ways:
        yield f'{name} | {what}', score(folder, track(clip, by, limit))


def score(folder: Path, tracks: Iterable[np.ndarray]) -> dict[str, float]:
    """Compare tracks with a clip's truth.

    Args:
        folder: The clip.
        tracks: Left, top, right, bottom and track number, frame by frame, each (N, 5).
    """
    from trackers.eval import evaluate_mot_sequence

    lines = [
        f'{number},{int(track)},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},1,-1,-1,-1\n'
        for number, rows in enumerate(tracks, start=1)
        for left, top, right, bottom, track in rows
    ]
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as file:
        file.writelines(lines)
        file.flush()
        result = evaluate_mot_sequence(folder / 'gt/gt.txt', file.name, metrics=['CLEAR', 'HOTA', 'Identity'])
    return {
        'IDSW': float(result.CLEAR.IDSW),
        'IDF1': 100 * float(result.Identity.IDF1),
        'HOTA': 100 * float(result.HOTA.HOTA),
    }


def format_table(clips: list[dict[str, dict[str, float]]], trackers: Iterable[str]) -> str:
    """Lay out means over clips, and differences against each tracker's first row with their 95% intervals."""
    lines = [
        f'| tracker | goes by | {" | ".join(f"{name} | against first row" for name in SCORES)} |',
        f'|---|---|{"---:|---:|" * len(SCORES)}',
    ]
    for tracker in trackers:
        rows = [row for row in clips[0] if row.startswith(tracker)]
        for row in rows:
            cells = []
            for name in SCORES:
                values, bases = (np.array([clip[of][name] for clip in clips]) for of in (row, rows[0]))
                difference = '' if row == rows[0] else format_estimate(estimate_mean(values - bases), '+')
                cells += [f'{values.mean():.1f}', difference]
            lines.append(f'| {row} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def _clip(args: argparse.Namespace, domain: str, seed: int) -> Path:
    folder = args.clips / f'{domain}-{seed}-{args.frames}'
    return folder if folder.is_dir() else write_clip(folder, domain, seed, num_frames=args.frames)


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


if __name__ == '__main__':
    main()
