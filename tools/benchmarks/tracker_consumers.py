"""Trackers of other projects on one clip, each with motion alone, with an exported model, or with the best features."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# Ultralytics installs what it misses unless it is told not to.
os.environ.setdefault('YOLO_AUTOINSTALL', 'False')

MOTION, PERFECT, DEFAULT = 'motion alone', 'perfect features', 'its own appearance model'
"""What else a tracker may go by than a model's file."""


@dataclass(frozen=True)
class Frame:
    """One frame of a clip.

    Attributes:
        image: BGR, (height, width, 3).
        boxes: Left, top, right, bottom and score of each detection, (N, 5).
        identities: Who each detection shows, (N,).
    """

    image: np.ndarray
    boxes: np.ndarray
    identities: np.ndarray


def read_clip(folder: Path) -> Iterator[Frame]:
    """Yield the frames of a clip that `tools/draw_clip.py` drew.

    Raises:
        ValueError: If a frame cannot be read.
    """
    rows = np.loadtxt(folder / 'det/det.txt', delimiter=',', ndmin=2)
    identities = np.loadtxt(folder / 'det/identities.txt', dtype=int, ndmin=1)
    for number, path in enumerate(sorted((folder / 'img1').glob('*.jpg')), start=1):
        chosen = rows[:, 0] == number
        boxes = rows[chosen, 2:7].copy()
        boxes[:, 2:4] += boxes[:, :2]
        image = cv2.imread(str(path))
        if image is None:
            raise ValueError(f'{path} cannot be read: draw the clip again.')
        yield Frame(image, boxes, identities[chosen])


class Features:
    """Features of a frame's boxes, each computed once.

    Args:
        compute: Takes the image and boxes, in whichever order the tracker hands them over.
    """

    def __init__(self, compute: Callable[..., Any]) -> None:
        self._compute = compute
        self._known: dict[bytes, Any] = {}

    def __call__(self, first: np.ndarray, second: np.ndarray) -> Any:
        """Return what was computed of the same image and boxes, or compute it."""
        image, boxes = (first, second) if first.ndim == 3 else (second, first)
        key = image[::16, ::16].tobytes() + boxes.tobytes()
        if key not in self._known:
            self._known[key] = self._compute(first, second)
        return self._known[key]

    get_features = __call__


def perfect_features(frame: Frame, centers: np.ndarray) -> np.ndarray:
    """Return features that are equal for one person and orthogonal for two.

    Args:
        frame: The frame.
        centers: Of the boxes whose features are asked for, in any order, (N, 2).
    """
    known = (frame.boxes[:, :2] + frame.boxes[:, 2:4]) / 2
    nearest = np.abs(centers[:, None] - known[None]).sum(axis=2).argmin(axis=1)
    return np.eye(64, dtype=np.float32)[frame.identities[nearest]]


def track_with_ultralytics(clip: list[Frame], by: str, threshold: float | None) -> Iterator[np.ndarray]:
    """Yield left, top, right, bottom and track number of what Ultralytics' BoT-SORT tracks, frame by frame."""
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    # The camera stands still.
    settings = {**YAML.load(check_yaml('botsort.yaml')), 'gmc_method': 'none', 'with_reid': by != MOTION}
    if threshold is not None:
        # Half of the distance is what it compares.
        settings['appearance_thresh'] = 1 - threshold / 2
    tracker = BOTSORT(IterableSimpleNamespace(**{**settings, 'model': 'auto', 'device': 'cpu'}))
    # Features of a model's file; `auto` would wait for a detector's.
    tracker.args.model = by
    if by not in (MOTION, PERFECT):
        tracker.encoder = _ultralytics_features(by)
    for frame in clip:
        if by == PERFECT:
            tracker.encoder = lambda _, boxes, frame=frame: list(perfect_features(frame, boxes[:, :2]))
        rows = np.column_stack([frame.boxes, np.zeros(len(frame.boxes))])
        tracks = tracker.update(Boxes(rows, frame.image.shape[:2]), frame.image)
        yield tracks[:, :5] if len(tracks) else np.empty((0, 5))


@lru_cache(maxsize=1)
def _ultralytics_features(model: str) -> Features:
    from ultralytics.trackers.utils.reid import ReID

    return Features(ReID(model, device='cpu'))


def track_with_boxmot(clip: list[Frame], by: str, threshold: float | None) -> Iterator[np.ndarray]:
    """Yield what BoxMOT's BoT-SORT tracks."""
    from boxmot import BotSort

    settings: dict[str, Any] = {'use_cmc': False, 'use_embeddings': by != MOTION}
    if threshold is not None:
        settings['appearance_thresh'] = threshold
    current = clip[:1]
    if by == PERFECT:
        model = Features(lambda boxes, _: perfect_features(current[0], (boxes[:, :2] + boxes[:, 2:4]) / 2))
        settings['reid_model'] = model
    elif by != MOTION:
        settings['reid_model'] = boxmot_features(by)
    tracker = BotSort(**settings)
    for frame in clip:
        current[:] = [frame]
        tracks = tracker.update(np.column_stack([frame.boxes, np.zeros(len(frame.boxes))]), frame.image)
        yield np.asarray(tracks)[:, :5]


@lru_cache(maxsize=1)
def boxmot_features(model: str) -> Features:
    """Return BoxMOT's features of boxes (left, top, right, bottom) in an image."""
    from boxmot.reid.core.runtime import ReID

    return Features(ReID(model).model.get_features)


def track_with_deep_sort(clip: list[Frame], by: str, threshold: float | None) -> Iterator[np.ndarray]:
    """Yield what deep-sort-realtime tracks; it has no motion alone."""
    from deep_sort_realtime.deepsort_tracker import DeepSort

    settings: dict[str, Any] = {} if threshold is None else {'max_cosine_distance': threshold}
    own = {'embedder': 'mobilenet', 'embedder_gpu': False} if by == DEFAULT else {'embedder': None}
    tracker = DeepSort(**settings, **own)
    for frame in clip:
        boxes = [([x, y, right - x, bottom - y], score, 0) for x, y, right, bottom, score in frame.boxes.tolist()]
        features: Any = None
        if by == PERFECT:
            features = perfect_features(frame, (frame.boxes[:, :2] + frame.boxes[:, 2:4]) / 2)
        elif by != DEFAULT:
            features = boxmot_features(by)(frame.boxes[:, :4], frame.image)
        tracks = tracker.update_tracks(boxes, embeds=features, frame=frame.image)
        rows = [
            (*track.to_ltrb(orig=True), int(track.track_id))
            for track in tracks
            if track.is_confirmed() and not track.time_since_update
        ]
        yield np.array(rows, dtype=float).reshape(-1, 5)


CONSUMERS: dict[str, tuple[Callable[..., Iterator[np.ndarray]], tuple[str, str]]] = {
    'Ultralytics BoT-SORT': (track_with_ultralytics, (MOTION, PERFECT)),
    'BoxMOT BotSort': (track_with_boxmot, (MOTION, PERFECT)),
    'deep-sort-realtime': (track_with_deep_sort, (DEFAULT, PERFECT)),
}
"""Trackers by name: how each tracks, what it is compared with, and what it could do at best."""
