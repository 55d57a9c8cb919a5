"""The lines of docs/trackers.md, with the packages that they are for; and the benchmark that made its table."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers.galleries import write_toy_checkpoint
from run_docs import run_commands
from torch.nn import functional

from cmdg_plugin.apis import extract_features, init_model
from cmdg_plugin.exporting import export_images
from cmdg_plugin.exporting.encoders import ImageEncoder

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ('boxmot', 'ultralytics', 'deep_sort_realtime', 'trackers', 'reid')
MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
TOLERANCE = 1e-4
FRAMES = 30

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f'not installed: {", ".join(MISSING)} (requirements/trackers.txt)'),
]


def blocks(language: str) -> list[str]:
    """What the page has in a language."""
    page = (REPOSITORY / 'docs/trackers.md').read_text(encoding='utf-8')
    return re.findall(rf'^```{language}\n(.*?)^```$', page, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the page's commands leave it: a checkpoint, its exported file, the first frames of the clip."""
    folder = tmp_path_factory.mktemp('trackers')
    checkpoint = folder / 'work_dirs/cmdg_toy-vit_islands/epoch_38.pth'
    checkpoint.parent.mkdir(parents=True)
    write_toy_checkpoint(checkpoint)
    (folder / 'tools').symlink_to(REPOSITORY / 'tools')
    (commands,) = blocks('bash')
    run_commands(commands, folder)
    for frame in sorted((folder / 'work_dirs/clip/img1').iterdir())[FRAMES:]:
        frame.unlink()
    return folder


@pytest.fixture(scope='module')
def ours(folder: Path) -> Any:
    return init_model(None, folder / 'work_dirs/cmdg_toy-vit_islands/epoch_38.pth', 'cpu')


@pytest.fixture(scope='module')
def page(folder: Path) -> SimpleNamespace:
    """Run the whole page, from its first line to its last; returns what it leaves."""
    from ultralytics import YOLO

    (settings,), lines = blocks('yaml'), blocks('python')
    assert len(lines) == 6
    scope: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv('YOLO_AUTOINSTALL', 'False')
        Path('botsort-reid.yaml').write_text(settings, encoding='utf-8')
        # Untrained, since its weights are a download.
        YOLO('yolo26n.yaml', verbose=False).save('yolo26n.pt')
        for block in lines:
            exec(compile(block, 'trackers.md', 'exec'), scope)
    return SimpleNamespace(**scope)


def of_crops(model: Any, crops: list[np.ndarray]) -> np.ndarray:
    """Our own features of BGR crops, resized as OpenCV does."""
    return extract_features(model, [cv2.resize(crop, (48, 96)) for crop in crops], progress=False).numpy()


def cut(frame: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    corners = boxes[:, :4].round().astype(int)
    return [frame[max(top, 0) : bottom, max(left, 0) : right] for left, top, right, bottom in corners]


def test_boxmot_computes_our_features(page: SimpleNamespace, folder: Path, ours: Any) -> None:
    """Up to instance norm's epsilon, which dark crops feel at another scale; exactly where ImageNet's is expected."""
    from boxmot.reid.core.runtime import ReID

    checkpoint = folder / 'work_dirs/cmdg_toy-vit_islands/epoch_38.pth'
    export_images(checkpoint, folder / 'imagenet.onnx', expects='imagenet')
    any_scale, exact = ReID(folder / 'work_dirs/toy.onnx'), ReID(folder / 'imagenet.onnx')
    assert any_scale.model.input_shape == (96, 48)
    for frame, boxes in page.clip[::5]:
        expected = of_crops(ours, cut(frame, boxes))
        theirs = any_scale(frame, boxes=boxes[:, :4])
        np.testing.assert_allclose(theirs, expected, atol=1e-3)
        assert (theirs * expected).sum(axis=1).min() > 0.9999
        np.testing.assert_allclose(exact(frame, boxes=boxes[:, :4]), expected, atol=TOLERANCE)


def test_ultralytics_computes_our_features(page: SimpleNamespace, folder: Path, ours: Any) -> None:
    from ultralytics.trackers.utils.reid import ReID

    reid = ReID(str(folder / 'work_dirs/toy.onnx'), device='cpu')
    assert reid.imgsz == (96, 48)
    frame, boxes = page.clip[5]
    centers = np.column_stack([(boxes[:, :2] + boxes[:, 2:4]) / 2, boxes[:, 2:4] - boxes[:, :2]])
    crops = [
        torch.from_numpy(crop[..., ::-1].copy()).permute(2, 0, 1) for crop in reid._crop_detections(frame, centers)
    ]
    resized = [functional.interpolate(crop[None] / 255, (96, 48), mode='bilinear') for crop in crops]
    with torch.no_grad():
        expected = ImageEncoder(ours)(torch.cat(resized)).numpy()
    np.testing.assert_allclose(np.stack(reid(frame, centers)), expected, atol=TOLERANCE)


def test_features_handed_over_and_of_a_module_are_ours(page: SimpleNamespace, ours: Any) -> None:
    frame, boxes = page.clip[5]
    np.testing.assert_allclose(page.encode(frame, boxes), of_crops(ours, cut(frame, boxes)), atol=TOLERANCE)
    frame, boxes = page.clip[0]
    low, high = np.floor(boxes[:, :2].clip(0)).astype(int), np.floor(boxes[:, 2:4]).astype(int)
    crops = [frame[top:bottom, left:right] for (left, top), (right, bottom) in zip(low, high, strict=True)]
    pictures = [page.embedder.preprocessing.resize_image(_picture(crop)) for crop in crops]
    expected = extract_features(ours, pictures, progress=False).numpy()
    np.testing.assert_allclose(page.embeddings, expected, atol=TOLERANCE)


def _picture(crop: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(crop[..., ::-1]))


def test_the_pages_lines_track(page: SimpleNamespace) -> None:
    """Every detected person has a number after a few frames, and there are not many more numbers than people."""
    for tracks in (page.ultralytics_tracks, page.boxmot_tracks):
        numbers = {int(row[4]) for rows in tracks for row in rows}
        assert 2 <= len(numbers) <= 16
        assert len(tracks[-1]) >= len(page.clip[-1][1]) - 1
    assert 2 <= len({number for rows in page.deep_sort_tracks for number, _ in rows}) <= 16


def test_the_benchmark_makes_its_table(page: SimpleNamespace, folder: Path) -> None:
    options = ['--seeds', '2', '--frames', '12', '--domains', 'alpine', '--clips', str(folder / 'clips')]
    options += ['--out', str(folder / 'scores.json')]
    command = [sys.executable, 'tools/benchmarks/benchmark_trackers.py', str(folder / 'work_dirs/toy.onnx'), *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r'^\| (Ultralytics BoT-SORT|BoxMOT BotSort|deep-sort-realtime) \| ', done.stdout, re.MULTILINE)
    assert len(rows) == 12
    assert 'threshold from training domains: cosine distance 0.' in done.stdout
    assert re.search(r'\| motion alone \| \d+\.\d \|', done.stdout)
    kept = (folder / 'scores.json').read_text()
    again = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert again.stdout == done.stdout
    assert (folder / 'scores.json').read_text() == kept
