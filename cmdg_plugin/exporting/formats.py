"""Writing a module as ONNX, as OpenVINO's files, or as torch's exported program."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cmdg_plugin.exporting.metadata import WEIGHTS_HASH, as_text, weights_of
from cmdg_plugin.extras import import_extra
from cmdg_plugin.files.hashing import hash_file
from cmdg_plugin.files.writing import open_whole_bytes
from cmdg_plugin.saying import on_one_line

FORMATS = {'onnx': '.onnx', 'openvino': '.xml', 'torch-export': '.pt2'}
"""What can be written, and the ending of its file."""

OLDEST_OPSET = 18
_ONNX_LIMIT = 2**31 - 2**24


@dataclass(frozen=True)
class Graph:
    """A module to be exported, and how its file calls what goes in and comes out.

    Attributes:
        module: Takes one tensor, gives one.
        example: An input, of at least two rows: torch takes a batch of one for a constant.
        input_name: Name of the input, also that of the argument of `forward`.
        what: What the message calls it if it cannot be exported.
        metadata: What the file says of itself.
        opset: Version of ONNX's operators.
    """

    module: nn.Module
    example: Tensor
    input_name: str
    what: str
    metadata: Mapping[str, Any]
    opset: int = OLDEST_OPSET

    def dynamic_shapes(self, least: int | None = None) -> dict[str, Any]:
        """Which dimensions stay open: that of the batch, from `least` on."""
        return {self.input_name: {0: torch.export.Dim('batch', min=least)}}


def write_onnx(graph: Graph, path: Path) -> None:
    """Write an ONNX file in single precision, metadata inside; weights as `save_onnx` does.

    Raises:
        ImportError: If a package is missing.
        ValueError: If torch cannot export the graph.
    """
    for package in ('onnx', 'onnxscript'):
        import_extra(package, 'export')
    with _exporting(graph):
        # torch 2.8 would fix the batch, as a text tower takes other steps for one row; the file runs with one as well.
        program: Any = torch.onnx.export(
            graph.module,
            (graph.example,),
            dynamo=True,
            dynamic_shapes=graph.dynamic_shapes(least=2),
            input_names=[graph.input_name],
            output_names=['features'],
            opset_version=graph.opset,
            verbose=False,
        )
        shape = program.model.graph.inputs[0].shape
        if shape is None or isinstance(shape[0], int):
            raise ValueError('it takes the size of the batch for a constant.')
        if (made := program.model.opset_imports.get('')) != graph.opset:
            # No error for torch: it leaves operators of several versions in one file, which nothing runs.
            raise ValueError(f'it writes ONNX operators of version {made}, not {graph.opset}: take an older --opset.')
    size = sum(value.const_value.nbytes for value in program.model.graph.initializers.values() if value.const_value)
    program.model.metadata_props.update(as_text(graph.metadata))
    program.save(path, external_data=size > _ONNX_LIMIT)


def save_onnx(model: Any, path: Path) -> None:
    """Write an ONNX model; more than 2 GiB of weights, which no ONNX file holds, beside it, as `x.onnx.data`."""
    large = sum(len(weight.raw_data) for weight in model.graph.initializer) > _ONNX_LIMIT
    import_extra('onnx', 'export').save(
        model, path, save_as_external_data=large, location=weights_of(path).name if large else None
    )


def seal_onnx(path: Path) -> None:
    """Let an ONNX file whose weights stand beside it say which weights are its own."""
    if not weights_of(path).exists():
        return
    onnx = import_extra('onnx', 'export')
    model = onnx.load(path, load_external_data=False)
    model.metadata_props.add(key=WEIGHTS_HASH, value=hash_file(weights_of(path)))
    onnx.save(model, path)


def onnx_to_openvino(source: Path, path: Path, metadata: Mapping[str, Any], *, half: bool = False) -> None:
    """Write OpenVINO's two files, `x.xml` with the graph and `x.bin` with the weights.

    Args:
        source: An ONNX file.
        path: The `.xml` file.
        metadata: What it says of itself.
        half: Whether weights are stored in half precision.

    Raises:
        ImportError: If OpenVINO is missing.
    """
    openvino = import_extra('openvino', 'export')
    # Not `convert_model`, which reports each use to its makers.
    model = openvino.Core().read_model(source)
    for name, value in as_text(metadata).items():
        model.set_rt_info(value, ['cmdg_plugin', name])
    openvino.save_model(model, path, compress_to_fp16=half)
    # Which weights are its own is known only now.
    model.set_rt_info(hash_file(weights_of(path)), ['cmdg_plugin', WEIGHTS_HASH])
    openvino.save_model(model, path, compress_to_fp16=half)


def write_torch_export(graph: Graph, path: Path) -> None:
    """Write a `torch.export` program, which `torch.export.load` reads.

    Raises:
        ValueError: If torch cannot export the graph.
    """
    with _exporting(graph):
        program = torch.export.export(graph.module, (graph.example,), dynamic_shapes=graph.dynamic_shapes())
    with open_whole_bytes(path) as file:
        torch.export.save(program, file, extra_files={'metadata.json': json.dumps(graph.metadata)})


@contextmanager
def _exporting(graph: Graph) -> Iterator[None]:
    """Context in which torch exports: quietly, and what it raises says which model it cannot export."""
    chatter = logging.getLogger('onnxscript')
    level = chatter.level
    try:
        chatter.setLevel(logging.ERROR)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    except Exception as error:  # torch has dozens of kinds, by version and step
        raise ValueError(f'torch {torch.__version__} cannot export {graph.what}: {on_one_line(error)}') from error
    finally:
        chatter.setLevel(level)
