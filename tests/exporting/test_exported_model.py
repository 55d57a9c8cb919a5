from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from cmdg_plugin.exporting import is_exported, use_exported
from cmdg_plugin.registry import MODELS

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
CONFIG = Path(__file__).parents[2] / 'configs/cmdg/cmdg_toy-vit_islands.py'


def write(path: Path, **metadata: str) -> Path:
    """An ONNX file that gives the three means of an image of 8x4 pixels."""
    node = onnx.helper.make_node('ReduceMean', ['images', 'axes'], ['features'], keepdims=0)
    graph = onnx.helper.make_graph(
        [node],
        'means',
        [onnx.helper.make_tensor_value_info('images', 1, ['batch', 3, 8, 4])],
        [onnx.helper.make_tensor_value_info('features', 1, ['batch', 3])],
        [onnx.numpy_helper.from_array(np.array([2, 3]), 'axes')],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=10)
    onnx.helper.set_model_props(model, {'model_hash': 'abc', **metadata})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ('expects', 'seen'),
    [
        ('0..1', [30 / 255, 20 / 255, 10 / 255]),
        ('0..255', [30, 20, 10]),
        ('imagenet', [(30 - 123.675) / 58.395, (20 - 116.28) / 57.12, (10 - 103.53) / 57.375]),
    ],
)
def test_a_file_sees_rgb_as_it_expects(expects: str, seen: list[float], tmp_path: Path) -> None:
    config = Config.fromfile(CONFIG)
    use_exported(config, write(tmp_path / 'means.onnx', expected_input=expects))
    assert config.test_dataloader.dataset.pipeline[1].scale == (4, 8)
    model = MODELS.build(config.model)
    bgr = torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1).expand(2, 3, 8, 4)
    samples = [BaseDataElement(), BaseDataElement()]
    prepared = model.data_preprocessor({'inputs': bgr, 'data_samples': samples})
    predicted = model(**prepared, mode='predict')
    assert np.allclose([sample.feature.numpy() for sample in predicted], [seen, seen], atol=1e-5)
    assert np.allclose(model(prepared['inputs']), [seen, seen], atol=1e-5)
    with pytest.raises(ValueError, match="'tensor' or 'predict', not 'loss'"):
        model(prepared['inputs'], mode='loss')


def test_no_checkpoint_is_loaded_into_a_file(tmp_path: Path) -> None:
    config = Config.fromfile(CONFIG)
    config.load_from = 'weights.pth'
    use_exported(config, write(tmp_path / 'means.onnx', expected_input='0..1'))
    assert config.load_from is None


def test_text_towers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='encodes sentences'):
        use_exported(Config.fromfile(CONFIG), write(tmp_path / 'texts.onnx'))


def test_rows_that_are_no_images_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / 'a.onnx', expected_input='0..1')
    model = onnx.load(file)
    del model.graph.node[:], model.graph.initializer[:], model.graph.input[0].type.tensor_type.shape.dim[2:]
    model.graph.node.append(onnx.helper.make_node('Identity', ['images'], ['features']))
    onnx.save(model, file)
    with pytest.raises(ValueError, match=r'a\.onnx is damaged: it takes rows of shape \(3,\), not images'):
        use_exported(Config.fromfile(CONFIG), file)


def test_what_no_version_expects(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expects pixels '-1\.\.1', not one of 0\.\.1"):
        use_exported(Config.fromfile(CONFIG), write(tmp_path / 'means.onnx', expected_input='-1..1'))


def test_trust_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / 'code.pt2').write_bytes(b'text')
    with pytest.raises(ValueError, match='may hold code'):
        use_exported(Config.fromfile(CONFIG), tmp_path / 'code.pt2')
    with pytest.raises(ValueError, match='is damaged'):
        use_exported(Config.fromfile(CONFIG), tmp_path / 'code.pt2', trust=True)
    config = Config.fromfile(CONFIG)
    use_exported(config, write(tmp_path / 'means.onnx', expected_input='0..1'), trust=True)
    assert config.model.trust is True


def test_exported_files_are_known_by_their_endings() -> None:
    assert [is_exported(name) for name in ('a.onnx', 'b.xml', 'c.pt2', 'd.pth', 'https://e/f.pth')] == [
        *(True, True, True),
        *(False, False),
    ]
