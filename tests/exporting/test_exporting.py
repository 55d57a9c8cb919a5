import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.small_clips import register_small_clips, write_tokenizer
from mmengine.config import Config

from cmdg_plugin.apis import ImagePreparation, encode_text, extract_features, init_model
from cmdg_plugin.exporting import ExportedFile, export_images, export_texts, exporting, open_exported
from cmdg_plugin.exporting.encoders import ImageEncoder
from cmdg_plugin.exporting.exporting import _made_whole
from cmdg_plugin.exporting.metadata import as_text, sidecar_of
from cmdg_plugin.gallery.encoding import GalleryModel
from cmdg_plugin.registry import MODELS

for package in ('onnx', 'onnxscript', 'onnxruntime', 'openvino', 'tokenizers'):
    pytest.importorskip(package)

REPOSITORY = Path(__file__).parents[2]
METADATA = {'expected_input': '0..1'}
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ('cmdg-small-vit', {}),
    ('cmdg-small-vit', {'part_attention': True}),
    ('cmdg-small-resnet', {}),
    ('cmdg-small-eva', {}),
    ('cmdg-small-siglip', {}),
]


def pixels(model: Any, jpegs: list[Path]) -> np.ndarray:
    return (ImagePreparation(model._config).batch(jpegs).flip(1) / 255).numpy()


def check_equal(path: Path, model: Any, jpegs: list[Path]) -> None:
    exported, images = open_exported(path, trust=True), pixels(model, jpegs)
    for size in (1, 3, 7):
        ours = extract_features(model, jpegs[:size], progress=False).numpy()
        assert np.abs(exported.run(images[:size]) - ours).max() < 1e-4


@pytest.fixture(scope='session')
def toy_onnx(toy_checkpoint: Path) -> Path:
    path = toy_checkpoint.with_name('toy.onnx')
    export_images(toy_checkpoint, path)
    return path


def test_onnx_gives_our_features_of_jpegs(toy_onnx: Path, toy: Any, jpegs: list[Path]) -> None:
    check_equal(toy_onnx, toy, jpegs)
    exported = open_exported(toy_onnx)
    features = exported.run(pixels(toy, jpegs))
    assert features.dtype == np.float32
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)


def test_onnx_has_one_input_and_one_output(toy_onnx: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(toy_onnx)
    ((given,), (made,)) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == ('images', ['batch', 3, 96, 48], 'tensor(float)')
    assert (made.name, made.shape) == ('features', ['batch', 224])


def test_metadata_inside_and_beside(toy_onnx: Path, toy_checkpoint: Path) -> None:
    beside: Mapping[str, Any] = json.loads(sidecar_of(toy_onnx).read_text())
    assert open_exported(toy_onnx).metadata == as_text(beside)
    assert beside['model_hash'] == GalleryModel(toy_checkpoint, 'cpu').hash
    assert beside['model_kwargs'] == {'img_size': [96, 48]}
    assert (beside['preprocess'], beside['expected_input'], beside['precision']) == ('resize', '0..1', 'fp32')
    assert beside['any_scale_and_shift'] is True
    assert beside['recipe']['backbone']['model_name'] == 'cmdg-toy-vit'


@pytest.mark.slow
@pytest.mark.parametrize('ending', ['xml', 'pt2'])
def test_openvino_and_torch_export_give_the_same_features(
    ending: str, toy_checkpoint: Path, toy: Any, jpegs: list[Path]
) -> None:
    path = toy_checkpoint.with_name(f'toy.{ending}')
    export_images(toy_checkpoint, path)
    check_equal(path, toy, jpegs)
    exported = open_exported(path, trust=True)
    assert exported.metadata['expected_input'] == '0..1'
    assert exported.image_size == (96, 48)
    assert exported.run(np.zeros((0, 3, 96, 48), np.float32)).shape == (0, 224)


@pytest.mark.slow
def test_sizes_and_precisions(toy_checkpoint: Path, toy: Any, jpegs: list[Path]) -> None:
    ours = extract_features(toy, jpegs, progress=False).numpy()
    for name, options, least in (
        ('half.onnx', {'precision': 'fp16'}, 0.9999),
        ('half.xml', {'precision': 'fp16'}, 0.9999),
        ('eight.onnx', {'precision': 'int8', 'calibration': jpegs[0].parent}, 0.9),
        ('eight.xml', {'precision': 'int8', 'calibration': jpegs[0].parent}, 0.9),
    ):
        path = toy_checkpoint.with_name(name)
        export_images(toy_checkpoint, path, **options)
        similarity = (open_exported(path).run(pixels(toy, jpegs)) * ours).sum(axis=1).min()
        assert similarity > least, name
        assert open_exported(path).metadata['precision'] == options['precision']
    # Small, as nothing is stored in single precision that products take.
    assert toy_checkpoint.with_name('eight.bin').stat().st_size < toy_checkpoint.with_name('half.bin').stat().st_size
    path = toy_checkpoint.with_name('large.onnx')
    export_images(toy_checkpoint, path, image_size=(128, 64), expects='0..255', opset=20)
    assert open_exported(path).image_size == (128, 64)
    assert open_exported(path).metadata['model_hash'] != GalleryModel(toy_checkpoint, 'cpu').hash


@pytest.mark.slow
def test_texts_with_their_tokenizer_and_example(
    toy_onnx: Path, toy_checkpoint: Path, toy: Any, jpegs: list[Path]
) -> None:
    path = toy_checkpoint.with_name('texts.onnx')
    export_texts(toy_checkpoint, path)
    sentences = ['a woman in a red coat', 'a man with a backpack']
    files = (path.with_suffix('.example.py'), toy_onnx, path, path.with_suffix('.tokenizer.json'), jpegs[0])
    ran = subprocess.run([sys.executable, *map(str, files), *sentences], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    image = extract_features(toy, jpegs[0], space='shared', progress=False)[0]
    printed = [line.split('  ') for line in ran.stdout.splitlines()]
    assert [text for _, text in printed] == sentences
    assert [float(value) for value, _ in printed] == pytest.approx(
        (encode_text(toy, sentences) @ image).tolist(), abs=2e-3
    )
    assert len(files[0].read_text().splitlines()) < 36


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'options'), FAMILIES)
def test_families_of_image_towers(name: str, options: dict[str, Any], tmp_path: Path, jpegs: list[Path]) -> None:
    register_small_clips(tmp_path / 'clips')
    settings = Config.fromfile(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py')
    tokenizer = str(write_tokenizer(tmp_path / 'words')) if name.endswith('siglip') else None
    settings.model.backbone = {'type': 'TextAwareCLIP', 'model_name': name, 'tokenizer': tokenizer, **options}
    if options:  # of one family, what a model may do besides
        settings.model.update(flip_test=True)
        settings.model.data_preprocessor.normalization = 'fixed'
    torch.manual_seed(0)
    model = MODELS.build(settings.model)
    height, width = model.backbone.image_size
    settings.test_dataloader.dataset.pipeline[1].scale = (width, height)
    # Norms and regions as after training, not the ones and zeros of a beginning.
    for parameter in model.backbone.image_parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    checkpoint = tmp_path / 'model.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': settings.pretty_text}}, checkpoint)
    loaded = init_model(None, checkpoint, 'cpu')
    for ending in ('onnx', 'xml'):
        path = tmp_path / f'model.{ending}'
        export_images(checkpoint, path)
        check_equal(path, loaded, jpegs)
    # Compared with the model while they are written.
    export_images(checkpoint, tmp_path / 'large.onnx', image_size=(2 * height, width))
    export_texts(checkpoint, tmp_path / 'texts.onnx')


def test_nothing_takes_its_name_before_all_is_complete(tmp_path: Path) -> None:
    old = {'toy.xml': b'old graph', 'toy.bin': b'old weights'}
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def make(then: Callable[[], None]) -> None:
        with _made_whole(tmp_path / 'toy.xml') as made:
            made.with_suffix('.bin').write_bytes(b'new weights')
            made.write_bytes(2000 * b'new graph')
            then()

    def fail() -> None:
        raise ValueError('not the same features')

    try:
        with pytest.raises(OSError, match=r'toy\.xml'):  # as a full disk
            make(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1])))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(ValueError, match='not the same features'):
        make(fail)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_what_torch_cannot_export_is_named(
    toy_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(encoder: ImageEncoder, images: torch.Tensor) -> torch.Tensor:
        return images if images.sum() > 0 else -images

    monkeypatch.setattr(ImageEncoder, 'forward', forward)
    with pytest.raises(ValueError, match=r"torch \S+ cannot export 'cmdg-toy-vit' \(OpenClipViT\): "):
        export_images(toy_checkpoint, tmp_path / 'toy.pt2')
    assert not (tmp_path / 'toy.pt2').exists()


@pytest.mark.parametrize(
    ('answer', 'words'),
    [
        (lambda rows: rows[:, 0, 0], 'does not do what the model does: its features differ'),
        (lambda rows: rows[:, 7, 0], r'does not run, and is not kept; .*index 7 is out of bounds'),
    ],
)
def test_files_that_do_not_do_what_the_model_does(
    answer: Callable[[np.ndarray], np.ndarray],
    words: str,
    toy_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Made by a program that is at fault."""
    (tmp_path / 'toy.pt2').write_bytes(b'before')
    monkeypatch.setattr(exporting, '_write', lambda graph, path, *_: path.write_bytes(b'wrong'))
    wrong = ExportedFile(lambda rows: answer(np.pad(rows, (*3 * [(0, 0)], (0, 224 - 48)))), (3, 96, 48), METADATA)
    monkeypatch.setattr(exporting, 'open_exported', lambda *_, **__: wrong)
    with pytest.raises(ValueError, match=words):
        export_images(toy_checkpoint, tmp_path / 'toy.pt2')
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {'toy.pt2': b'before'}


def test_calibration_images_are_looked_at_first(toy_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    with pytest.raises(FileNotFoundError, match='There is no image: '):
        export_images(toy_checkpoint, tmp_path / 'a.onnx', precision='int8', calibration=tmp_path / 'images')
    (tmp_path / 'images/a.jpg').write_bytes(b'text')
    with pytest.raises(ValueError, match=r'images/a\.jpg cannot be read'):
        export_images(toy_checkpoint, tmp_path / 'a.onnx', precision='int8', calibration=tmp_path / 'images')
    assert [path.name for path in tmp_path.iterdir()] == ['images']


def test_checkpoint_without_config(toy_checkpoint: Path, tmp_path: Path) -> None:
    bare = tmp_path / 'bare.pth'
    torch.save({'state_dict': torch.load(toy_checkpoint, weights_only=True)['state_dict']}, bare)
    with pytest.raises(ValueError, match='carries no config'):
        export_images(bare, tmp_path / 'toy.onnx')
