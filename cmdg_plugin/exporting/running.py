"""Exported files, run as they are deployed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cmdg_plugin.extras import import_extra


@dataclass(frozen=True)
class ExportedFile:
    """An exported file, loaded.

    Attributes:
        run: Takes the input (N, ...), gives features (N, D).
        shape: Shape of the input without the batch.
        metadata: What the file says of itself.
    """

    run: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int, ...]
    metadata: Mapping[str, str]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels of the images that go in."""
        return self.shape[1], self.shape[2]


def open_exported(path: Path, threads: int | None = None) -> ExportedFile:
    """Load a file that `tools/export.py` has written.

    Args:
        path: The file; its ending says which program runs it.
        threads: How many threads compute; None leaves that to the program. torch has one number for all of a process.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the package that runs it is missing.
        ValueError: If it cannot be read, or was written by something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f'There is no exported model at {path}.')
    if path.suffix not in READERS:
        raise ValueError(f'{path} is not an exported model: those end in {", ".join(READERS)}.')
    try:
        loaded = READERS[path.suffix](path, threads)
    except ImportError:
        raise
    except Exception as error:  # each program has kinds of its own
        reason = ' '.join(str(error).split())[:300]
        raise ValueError(f'{path} is damaged, or is not an exported model ({reason}).') from error
    if 'model_hash' not in loaded.metadata:
        raise ValueError(f'{path} was not written by tools/export.py: it does not say what it expects.')
    return loaded


def _read_onnx(path: Path, threads: int | None) -> ExportedFile:
    onnxruntime = import_extra('onnxruntime', 'export')
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())
    (given,) = session.get_inputs()
    metadata = session.get_modelmeta().custom_metadata_map
    return ExportedFile(lambda batch: session.run(None, {given.name: batch})[0], tuple(given.shape[1:]), metadata)


def _read_openvino(path: Path, threads: int | None) -> ExportedFile:
    openvino = import_extra('openvino', 'export')
    # Where a CPU has bfloat16, OpenVINO would compute in it unasked.
    options = {'INFERENCE_PRECISION_HINT': 'f32'}
    if threads is not None:
        options['INFERENCE_NUM_THREADS'] = str(threads)
    core = openvino.Core()
    model = core.read_model(path)
    compiled = core.compile_model(model, 'CPU', options)
    info = model.get_rt_info(['cmdg_plugin']).aslist() if model.has_rt_info(['cmdg_plugin']) else []
    metadata = {name: model.get_rt_info(['cmdg_plugin', name]).astype(str) for name in info}
    shape = tuple(side.get_length() for side in list(model.input(0).partial_shape)[1:])
    return ExportedFile(lambda batch: compiled(batch)[0].copy(), shape, metadata)


def _read_torch_export(path: Path, threads: int | None) -> ExportedFile:
    extra = {'metadata.json': ''}
    program = torch.export.load(path, extra_files=extra)
    module = program.module()
    (given,) = (node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    metadata = {name: str(value) for name, value in json.loads(extra['metadata.json']).items()}

    @torch.no_grad()
    def run(batch: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(batch)).numpy()

    return ExportedFile(run, tuple(int(side) for side in given.meta['val'].shape[1:]), metadata)


READERS: dict[str, Callable[[Path, int | None], ExportedFile]] = {
    '.onnx': _read_onnx,
    '.xml': _read_openvino,
    '.pt2': _read_torch_export,
}
"""What reads a file, by its ending."""
