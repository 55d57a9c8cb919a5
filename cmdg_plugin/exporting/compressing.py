"""Smaller ONNX files: weights in half precision, or products with 8 bits by onnxruntime's static quantization."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from cmdg_plugin.apis.preparation import ImagePreparation
from cmdg_plugin.exporting.formats import save_onnx
from cmdg_plugin.exporting.metadata import weights_of
from cmdg_plugin.extras import import_extra

_IMAGES, _BATCH = 256, 8
_FEW = 1024
# Products with weights. Normalizations, softmax and sums take little time and lose most.
_QUANTIZED = ['Conv', 'MatMul', 'Gemm']


def halve_weights(source: Path, target: Path) -> None:
    """Write an ONNX file that holds its weights in half precision, and computes in single precision as before.

    Computing in half precision, too, is not safe everywhere: onnxruntime 1.32 crashes on CPUs while it optimizes such
    graphs of CLIP's ViTs.

    Raises:
        ImportError: If a package is missing.
        ValueError: If a weight exceeds what half precision can hold.
    """
    onnx = import_extra('onnx', 'export')
    model = onnx.load(source)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < _FEW:
            continue
        with np.errstate(over='ignore'):
            halves = onnx.numpy_helper.to_array(weight).astype(np.float16)
        if not np.isfinite(halves).all():
            raise ValueError(f'The weight {weight.name} exceeds what half precision can hold (65,504): leave it out.')
        casts.append(onnx.helper.make_node('Cast', [f'{weight.name}_half'], [weight.name], to=weight.data_type))
        weight.CopyFrom(onnx.numpy_helper.from_array(halves, f'{weight.name}_half'))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    save_onnx(model, target)


def quantize(source: Path, target: Path, batches: Iterator[np.ndarray]) -> None:
    """Write an ONNX file whose products are computed with 8 bits; its metadata stay.

    Args:
        source: An ONNX file in single precision; a file is left beside it.
        target: File to write.
        batches: Inputs from which the ranges of activations are learned.

    Raises:
        ImportError: If a package is missing.
    """
    onnx = import_extra('onnx', 'export')
    tools: Any = import_extra('onnxruntime.quantization', 'export')

    class Reader(tools.CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(batches, None)
            return None if batch is None else {'images': batch}

    raw = source.with_name('raw.onnx')
    tools.quantize_static(
        str(source),
        str(raw),
        Reader(),
        quant_format=tools.QuantFormat.QDQ,
        per_channel=True,
        # Symmetric: OpenVINO 2026.4 cannot compile CLIP's last projection with zero points.
        activation_type=tools.QuantType.QInt8,
        op_types_to_quantize=_QUANTIZED,
        extra_options={'MatMulConstBOnly': True, 'ActivationSymmetric': True},
        use_external_data_format=weights_of(source).exists(),
    )
    made = onnx.load(raw)
    properties = {entry.key: entry.value for entry in onnx.load(source, load_external_data=False).metadata_props}
    onnx.helper.set_model_props(made, properties)
    save_onnx(made, target)


def calibration_batches(
    listed: Sequence[str], config: Config, expects: tuple[tuple[float, ...], ...]
) -> Iterator[np.ndarray]:
    """Prepare images as a graph expects them, at most 256, evenly spread over their list.

    Args:
        listed: Their files.
        config: Of the model; says how images are prepared.
        expects: RGB means and deviations that are taken out of pixels.

    Raises:
        ValueError: If an image cannot be read.
    """
    chosen = [listed[place] for place in np.linspace(0, len(listed) - 1, min(_IMAGES, len(listed))).astype(int)]
    prepare = ImagePreparation(config)
    to_rgb = (config.model.get('data_preprocessor') or {}).get('to_rgb', True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in expects)
    for start in range(0, len(chosen), _BATCH):
        images = prepare.batch(chosen[start : start + _BATCH])
        yield (((images.flip(1) if to_rgb else images).float() - mean) / std).numpy()
