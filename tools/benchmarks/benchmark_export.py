"""Latency and throughput of a model in PyTorch, compiled, in onnxruntime and in OpenVINO, side by side in one process.

    python tools/benchmarks/benchmark_export.py --threads 2
    python tools/benchmarks/benchmark_export.py --threads 2 --model ViT-B-16 --image-size 256x128 --batches 1 8 64

Random weights: they take as long as trained ones. All compute in float32 (OpenVINO is told so) with as many threads,
take turns, and must give the same features before anything is timed.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import REPOSITORY, device_name, in_turns, medians, report
from mmengine.config import Config

from cmdg_plugin.exporting import export_images, open_exported
from cmdg_plugin.exporting.encoders import ImageEncoder
from cmdg_plugin.exporting.sizing import set_pipeline_size
from cmdg_plugin.image_size import parse_size
from cmdg_plugin.registry import MODELS

TOLERANCE = 1e-4
Run = Callable[[np.ndarray], np.ndarray]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time a model in PyTorch, onnxruntime and OpenVINO.')
    parser.add_argument('--model', default='cmdg-toy-vit', help='an open_clip model')
    parser.add_argument('--image-size', help="height x width; default: the model's own")
    parser.add_argument('--part-attention', action='store_true')
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 8, 64])
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--no-compile', action='store_true', help='leave torch.compile out, which takes a C++ compiler')
    return parser.parse_args()


def write_checkpoint(arguments: argparse.Namespace, path: Path) -> ImageEncoder:
    """Write a checkpoint with random weights; returns what is exported of it."""
    torch.manual_seed(0)
    config = Config.fromfile(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py')
    size = None if arguments.image_size is None else parse_size(arguments.image_size)
    config.model.backbone = {
        'type': 'TextAwareCLIP',
        'model_name': arguments.model,
        'part_attention': arguments.part_attention,
        'image_size': size,
    }
    model = MODELS.build(config.model).eval()
    set_pipeline_size(config, model.backbone.image_size)
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': config.pretty_text}}, path)
    return ImageEncoder(model).eval()


def runners(arguments: argparse.Namespace, encoder: torch.nn.Module, folder: Path) -> dict[str, Run]:
    """Everything that is timed, by name."""

    @torch.inference_mode()
    def run(module: Callable[[torch.Tensor], torch.Tensor], images: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(images)).numpy()

    found: dict[str, Run] = {'PyTorch': partial(run, encoder)}
    if not arguments.no_compile:
        found['torch.compile'] = partial(run, torch.compile(encoder))
    for name, ending in (('onnxruntime', 'onnx'), ('OpenVINO', 'xml')):
        path = folder / f'model.{ending}'
        export_images(folder / 'model.pth', path)
        found[name] = open_exported(path, arguments.threads).run
    return found


def main() -> None:
    """Measure, and print a table."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = write_checkpoint(arguments, folder / 'model.pth')
        found = runners(arguments, encoder, folder)
        size = encoder.model.backbone.image_size
        report(
            f'{arguments.model}, {size[0]}x{size[1]}, {device_name(arguments.threads, on_gpu=False)}, '
            f'torch {torch.__version__}, median of {arguments.rounds} rounds in turns\n'
        )
        report('| | batch | ms a batch | images/s | times PyTorch |\n| :--- | ---: | ---: | ---: | ---: |')
        for batch in arguments.batches:
            images = np.random.default_rng(0).random((batch, 3, *size), dtype=np.float32)
            expected = found['PyTorch'](images)
            for name, run in found.items():
                difference = float(np.abs(run(images) - expected).max())
                if difference > TOLERANCE:
                    raise SystemExit(f'{name} gives other features than PyTorch at batch {batch}: {difference:.1e}.')
            timed = {name: partial(run, images) for name, run in found.items()}
            seconds = medians(in_turns(timed, arguments.rounds))
            for name, each in seconds.items():
                faster = seconds['PyTorch'] / each
                report(f'| {name} | {batch} | {1000 * each:,.1f} | {batch / each:,.0f} | {faster:.2f} |')


if __name__ == '__main__':
    main()
