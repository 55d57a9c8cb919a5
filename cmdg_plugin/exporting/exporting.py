"""From a checkpoint to files that run without this package."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cmdg_plugin.apis import init_model
from cmdg_plugin.exporting.encoders import ImageEncoder
from cmdg_plugin.exporting.formats import FORMATS, OLDEST_OPSET, Graph
from cmdg_plugin.exporting.metadata import describe_images, write_sidecar
from cmdg_plugin.exporting.running import open_exported
from cmdg_plugin.exporting.sizing import at_size

_BATCHES = (1, 3)
_LARGEST_DIFFERENCE, _LEAST_SIMILARITY = 1e-4, 0.99


@dataclass(frozen=True)
class ExportReport:
    """How the features of an exported file compare with the model's own, on random images.

    Attributes:
        difference: Largest absolute difference of two numbers.
        similarity: Least cosine similarity of two features.
    """

    difference: float
    similarity: float


def export_images(
    checkpoint: Path,
    out: Path,
    *,
    image_size: Sequence[int] | None = None,
    half: bool = False,
    expects: str = '0..1',
    opset: int = OLDEST_OPSET,
) -> ExportReport:
    """Write a file that turns images into retrieval features, and compare it with the model.

    Args:
        checkpoint: A checkpoint that carries its config.
        out: File to write; its ending says which format (see `FORMATS`).
        image_size: Height and width of the images in pixels; those of the checkpoint if None.
        half: Whether weights and the towers' computations are in half precision; what goes in and comes out is not.
        expects: What pixels come in, a key of `encoders.INPUTS`.
        opset: Version of ONNX's operators.

    Returns:
        How the file's features compare with the model's.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ImportError: If a package of the extra `export` is missing.
        ValueError: If the checkpoint carries no config, cannot be exported, cannot take that size, or the file does not
            do what the model does.
    """
    _, write = next(entry for entry in FORMATS.values() if entry[0] == out.suffix)
    model = init_model(None, checkpoint, 'cpu')
    encoder = ImageEncoder(model, expects)  # refuses other models
    if image_size is not None:
        encoder = ImageEncoder(at_size(model, image_size), expects)
    model = encoder.model
    metadata = describe_images(model, expects, 'fp16' if half else 'fp32')
    height, width = model.backbone.image_size
    metadata |= {'checkpoint': checkpoint.name}
    if out.suffix != '.pt2':
        metadata |= {'opset': opset}
    module = ImageEncoder(copy.deepcopy(model), expects, half=True) if half else encoder
    example = torch.rand(2, 3, height, width)
    write(Graph(module, example, 'images', _name_of(model), metadata, opset), out)
    report = compare(encoder, out)
    check(report, out, exact=not half)
    write_sidecar(out, metadata)
    return report


@torch.no_grad()
def compare(module: nn.Module, path: Path) -> ExportReport:
    """Compare a file's features with those of the module it was made of, on random images, one and three at a time."""
    exported = open_exported(path)
    rng = np.random.default_rng(0)
    differences, similarities = [], []
    for size in _BATCHES:
        images = rng.random((size, *exported.shape), dtype=np.float32)
        ours, theirs = module(torch.from_numpy(images)).numpy(), exported.run(images)
        differences.append(float(np.abs(ours - theirs).max()))
        similarities.append(float((ours * theirs).sum(axis=1).min()))
    return ExportReport(max(differences), min(similarities))


def check(report: ExportReport, path: Path, *, exact: bool) -> None:
    """Refuse a file whose features are not the model's.

    Raises:
        ValueError: If they differ by more than 1e-4, or, where they need not be exact, are less similar than 0.99.
    """
    if report.difference <= _LARGEST_DIFFERENCE if exact else report.similarity >= _LEAST_SIMILARITY:
        return
    raise ValueError(
        f'{path} does not do what the model does: its features differ by up to {report.difference:.1e} (similarity '
        f'{report.similarity:.4f}). Do not use it; another version of torch or onnxruntime may write a right one.'
    )


def _name_of(model: Any) -> str:
    backbone = model.backbone
    parts = ' with part attention' if hasattr(backbone.clip.visual, 'part_tokens') else ''
    return f'{backbone.model_name!r} ({type(backbone.image_tower).__name__}{parts})'
