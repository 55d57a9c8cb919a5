"""From a checkpoint to files that run without this package."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cmdg_plugin.apis import init_model
from cmdg_plugin.apis.preparation import list_images
from cmdg_plugin.exporting.compressing import calibration_batches, halve_weights, quantize
from cmdg_plugin.exporting.encoders import INPUTS, ImageEncoder, TextEncoder
from cmdg_plugin.exporting.formats import (
    OLDEST_OPSET,
    Graph,
    onnx_to_openvino,
    seal_onnx,
    write_onnx,
    write_torch_export,
)
from cmdg_plugin.exporting.metadata import describe_images, describe_texts, write_sidecar
from cmdg_plugin.exporting.requests import check_request, check_text_request
from cmdg_plugin.exporting.running import open_exported
from cmdg_plugin.exporting.sizing import at_size
from cmdg_plugin.exporting.tokenizing import tokenizer_json
from cmdg_plugin.files.writing import open_whole_bytes
from cmdg_plugin.saying import on_one_line

_BATCHES = (1, 3)
_LARGEST_DIFFERENCE, _LEAST_SIMILARITY = 1e-4, 0.99
_EXAMPLE = 'text_example.py'
_INSTEAD = 'other versions of torch, onnxscript or onnxruntime may make a right one'


@dataclass(frozen=True)
class ExportReport:
    """How the features of an exported file compare with the model's own, on random inputs.

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
    precision: str = 'fp32',
    calibration: Path | None = None,
    expects: str = '0..1',
    opset: int = OLDEST_OPSET,
) -> ExportReport:
    """Write a file that turns images into retrieval features, and compare it with the model.

    Args:
        checkpoint: A checkpoint that carries its config.
        out: File to write; its ending says which format (see `FORMATS`).
        image_size: Height and width of the images in pixels; those of the checkpoint if None.
        precision: `fp32`, `fp16` (of the weights that are stored), or `int8` (of products).
        calibration: Folder of images for `int8`, from which the ranges of activations are learned.
        expects: What pixels come in, a key of `encoders.INPUTS`.
        opset: Version of ONNX's operators.

    Returns:
        How the file's features compare with the model's.

    Raises:
        FileNotFoundError: If there is no checkpoint, no folder to write into, or no image to calibrate with.
        ImportError: If a package of the extra `export` is missing.
        OSError: If the file cannot be written; what was there before stays.
        ValueError: If the checkpoint carries no config, cannot be exported, cannot take that size, or the file does not
            do what the model does.
    """
    check_request(out, opset=opset, precision=precision, calibration=calibration)
    listed = [] if calibration is None else list_images(calibration)
    encoder = ImageEncoder(init_model(None, checkpoint, 'cpu'), expects)  # refuses other models
    if image_size is not None:
        encoder = ImageEncoder(at_size(encoder.model, image_size), expects)
    model = encoder.model
    metadata = {'checkpoint': checkpoint.name, **describe_images(model, INPUTS[expects], expects, precision)}
    graph = Graph(encoder, torch.rand(2, 3, *model.backbone.image_size), 'images', _name_of(model), metadata, opset)
    rng = np.random.default_rng(0)
    images = rng.random((max(_BATCHES), 3, *model.backbone.image_size), dtype=np.float32)
    batches = list(calibration_batches(listed, model._config, INPUTS[expects]))  # now, not once the graph is written
    with _made_whole(out) as made:
        _write(graph, made, precision, batches)
        report = _compare(encoder, made, images)
        _check(report, precision)
        write_sidecar(made, metadata)
    return report


def export_texts(checkpoint: Path, out: Path, *, opset: int = OLDEST_OPSET) -> ExportReport:
    """Write an ONNX file that turns token ids into features of sentences; tokenizer and example come along.

    Beside `x.onnx` are written `x.tokenizer.json` and `x.example.py`.

    Args:
        checkpoint: A checkpoint that carries its config.
        out: File to write, `.onnx`.
        opset: Version of ONNX's operators.

    Returns:
        How the file's features compare with the model's.

    Raises:
        FileNotFoundError: If there is no checkpoint, or its tokenizer cannot be had.
        ImportError: If a package of the extra `export` is missing.
        ValueError: As `export_images`, or if its tokenizer has no form as a `tokenizer.json`.
    """
    check_text_request(out, opset=opset)
    model = ImageEncoder(init_model(None, checkpoint, 'cpu')).model
    backbone = model.backbone
    tokenizer = out.with_suffix('.tokenizer.json').name
    words = tokenizer_json(backbone.text_tokenizer)
    metadata = {'checkpoint': checkpoint.name, **describe_texts(model, tokenizer)}
    encoder = TextEncoder(model)
    sentences = ['a person', 'a woman in a red coat', 'a man with a backpack'][: max(_BATCHES)]
    tokens = backbone.tokenizer(sentences, backbone.context_length)
    graph = Graph(encoder, tokens, 'tokens', f'the text tower of {_name_of(model)}', metadata, opset)
    with _made_whole(out) as made:
        _write(graph, made)
        report = _compare(encoder, made, tokens.numpy())
        _check(report, 'fp32')
        made.with_name(tokenizer).write_text(words, encoding='utf-8')
        shutil.copy(Path(__file__).with_name(_EXAMPLE), made.with_suffix('.example.py'))
        write_sidecar(made, metadata)
    return report


@contextmanager
def _made_whole(out: Path) -> Iterator[Path]:
    """Context that gives a place in a folder of its own; what is there at its end comes beside `out`, itself last.

    Nothing comes if an error ends it: what was at `out` before stays.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / out.name
        yield made
        # All are complete before any takes its name, the first of this list as the last.
        with ExitStack() as complete:
            for file in sorted(made.parent.iterdir(), key=lambda file: file != made):
                target = complete.enter_context(open_whole_bytes(out.with_name(file.name)))
                with file.open('rb') as source:
                    shutil.copyfileobj(source, target)
                target.flush()


def _write(graph: Graph, path: Path, precision: str = 'fp32', batches: Sequence[np.ndarray] = ()) -> None:
    """Write a graph in a format and a precision; OpenVINO halves weights itself."""
    if path.suffix == '.pt2':
        write_torch_export(graph, path)
        return
    with tempfile.TemporaryDirectory() as folder:
        as_onnx = path if path.suffix == '.onnx' else Path(folder) / 'small.onnx'
        plain = Path(folder) / 'plain.onnx'
        if precision == 'int8':
            write_onnx(graph, plain)
            quantize(plain, as_onnx, iter(batches))
        elif precision == 'fp16' and path is as_onnx:
            write_onnx(graph, plain)
            halve_weights(plain, as_onnx)
        else:
            write_onnx(graph, as_onnx)
        if path is as_onnx:
            seal_onnx(path)
        else:
            onnx_to_openvino(as_onnx, path, graph.metadata, half=precision == 'fp16')


@torch.no_grad()
def _compare(module: nn.Module, path: Path, rows: np.ndarray) -> ExportReport:
    """Compare a file's features with those of the module it was made of, at two sizes of batches."""
    try:
        exported = open_exported(path, trust=True)
        computed = [exported.run(rows[:size]) for size in _BATCHES]
    except Exception as error:  # each program has kinds of its own
        raise ValueError(f'The file does not run, and is not kept; {_INSTEAD} ({on_one_line(error)}).') from error
    differences, similarities = [], []
    for size, theirs in zip(_BATCHES, computed, strict=True):
        ours = module(torch.from_numpy(rows[:size])).numpy()
        differences.append(float(np.abs(ours - theirs).max()))
        similarities.append(float((ours * theirs).sum(axis=1).min()))
    return ExportReport(max(differences), min(similarities))


def _check(report: ExportReport, precision: str) -> None:
    """Refuse a file whose features are not the model's; eight bits are judged by scores."""
    exact = precision == 'fp32'
    if precision == 'int8' or (
        report.difference <= _LARGEST_DIFFERENCE if exact else report.similarity >= _LEAST_SIMILARITY
    ):
        return
    raise ValueError(
        f'The file does not do what the model does: its features differ by up to {report.difference:.1e} (similarity '
        f'{report.similarity:.4f}). It is not kept; {_INSTEAD}.'
    )


def _name_of(model: Any) -> str:
    backbone = model.backbone
    parts = ' with part attention' if hasattr(backbone.clip.visual, 'part_tokens') else ''
    return f'{backbone.model_name!r} ({type(backbone.image_tower).__name__}{parts})'
