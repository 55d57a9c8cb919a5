"""Exported files, run as they are deployed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cmdg_plugin.exporting.metadata import WEIGHTS_HASH, as_text, sidecar_of, weights_of
from cmdg_plugin.extras import import_extra
from cmdg_plugin.files.hashing import hash_file
from cmdg_plugin.saying import on_one_line


@dataclass(frozen=True)
class ExportedFile:
    """An exported file, loaded.

    Attributes:
        compute: Takes the input (N, ...), gives features (N, D); `run` looks at what comes in.
        shape: Shape of the input without the batch.
        metadata: What the file says of itself.
    """

    compute: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int, ...]
    metadata: Mapping[str, str]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels of the images that go in."""
        return self.shape[1], self.shape[2]

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Encode images or token ids.

        Args:
            rows: The input (N, ...): float32 images, int64 token ids.

        Returns:
            Features (N, D).

        Raises:
            ValueError: If they have another shape or type.
        """
        wanted = np.dtype(np.float32 if 'expected_input' in self.metadata else np.int64)
        if rows.dtype != wanted or rows.shape[1:] != self.shape or rows.ndim != len(self.shape) + 1:
            shape = ', '.join(map(str, ('N', *self.shape)))
            raise ValueError(f'The file takes {wanted} of shape ({shape}), got {rows.dtype} of shape {rows.shape}.')
        # Not every program computes nothing.
        return self.compute(rows) if len(rows) else self.compute(np.zeros((1, *self.shape), wanted))[:0]


def open_exported(path: Path, threads: int | None = None, *, trust: bool = False) -> ExportedFile:
    """Load a file that `tools/export.py` has written.

    Args:
        path: The file; its ending says which program runs it.
        threads: How many threads compute; None leaves that to the program. torch has one number for all of a process.
        trust: Whether a `.pt2` file may be read: torch runs what code it holds, so only who wrote it can say.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the package that runs it is missing.
        ValueError: If it cannot or may not be read, was written by something else, or what stands beside it is not its
            own.
    """
    if not path.is_file():
        raise FileNotFoundError(f'There is no exported model at {path}.')
    if path.suffix not in READERS:
        raise ValueError(f'{path} is not an exported model: those end in {", ".join(READERS)}.')
    if path.suffix == '.pt2' and not trust:
        raise ValueError(
            f'{path} may hold code, which torch runs while it reads the file: add --trust (trust=True) if you '
            'exported it yourself.'
        )
    try:
        loaded = READERS[path.suffix](path, threads)
    except ImportError:
        raise
    except Exception as error:  # each program has kinds of its own
        raise ValueError(f'{path} is damaged, or is not an exported model ({on_one_line(error)}).') from error
    if 'model_hash' not in loaded.metadata:
        raise ValueError(f'{path} was not written by tools/export.py: it does not say what it expects.')
    if not all(isinstance(side, int) and side > 0 for side in loaded.shape):
        raise ValueError(f'{path} is damaged, or is not an exported model: it takes rows of shape {loaded.shape}.')
    _check_beside(path, loaded.metadata)
    return loaded


def _check_beside(path: Path, metadata: Mapping[str, str]) -> None:
    """Refuse weights and metadata beside a file that are another one's: who reads them would take it for that."""
    weights, sidecar = weights_of(path), sidecar_of(path)
    if WEIGHTS_HASH in metadata and not weights.is_file():
        raise FileNotFoundError(f'There are no weights at {weights}, which belong to {path}.')
    if WEIGHTS_HASH in metadata and hash_file(weights) != metadata[WEIGHTS_HASH]:
        raise ValueError(f'{weights} holds not the weights of {path}: copy both anew, or export again.')
    if not sidecar.exists():
        return
    try:
        beside = as_text(json.loads(sidecar.read_bytes()))
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f'{sidecar} is damaged ({error}): remove it, or export {path.name} again.') from error
    others = [name for name, value in beside.items() if metadata.get(name) != value]
    if others:
        raise ValueError(
            f'{sidecar} is not what {path.name} says of itself ({", ".join(others[:3])}): remove it, or export again.'
        )


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
    metadata = model.get_rt_info(['cmdg_plugin']).value if model.has_rt_info(['cmdg_plugin']) else {}
    shape = tuple(side.get_length() for side in list(model.input(0).partial_shape)[1:])
    return ExportedFile(lambda batch: compiled(batch)[0].copy(), shape, metadata)


def _read_torch_export(path: Path, threads: int | None) -> ExportedFile:
    extra = {'metadata.json': ''}
    program = torch.export.load(path, extra_files=extra)
    module = program.module()
    (given,) = (node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    metadata = as_text(json.loads(extra['metadata.json']))

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
