"""A run of protocol 1's size with generated images and random weights: every stage timed, the whole extrapolated.

    python tools/benchmarks/benchmark_protocol.py --small
    python tools/benchmarks/benchmark_protocol.py --device cuda --amp --compile [--full] [--steps 50]
    torchrun --nproc-per-node 2 tools/benchmarks/benchmark_protocol.py --small --launcher pytorch

Nothing of a whole run is run: a few steps of each stage are, and a few batches of each pass over all images or captions
(as `tools/estimate_run.py` does), and the stages' time is worked out from those. A bridging step as the authors of the
released recipe run it goes beside ours in the same process, as a ratio. `--small` takes the toy's tower, its epochs and
4,000 images, for a CPU.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmark_step import make_setup, our_loss, train_step
from generated_runs import compose, write_domains
from measuring import device_name, in_turns, medians, report
from released_step import released_loss

from cmdg_plugin.cli.estimate_table import format_estimates, peak_memory
from cmdg_plugin.engine.estimating import estimate_stages
from cmdg_plugin.engine.launching import is_first_process, joined_processes

SMALL, WHOLE = 'cmdg_toy-vit_islands.py', 'cmdg_vit-base-p16_p1.py'


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Estimate a run of the size of protocol 1 on generated images.')
    parser.add_argument('--small', action='store_true', help="the toy's tower and epochs, 4,000 images")
    parser.add_argument('--full', action='store_true', help='recipe full in place of the released one')
    parser.add_argument('--images', type=int, help='training images (default: 99,000, or 4,000 with --small)')
    parser.add_argument('--steps', type=int, default=20, help='steps to time in each stage')
    parser.add_argument('--rounds', type=int, default=3, help='steps beside the released loop; 0 leaves it out')
    parser.add_argument('--workers', type=int, help="loader workers (default: the config's)")
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--amp', action='store_true', help='bfloat16, on a GPU or a CPU that multiplies it')
    parser.add_argument('--compile', action='store_true', help='compiled towers; the text tower as CUDA graphs')
    parser.add_argument('--launcher', choices=['none', 'pytorch'], default='none')
    arguments = parser.parse_args()
    arguments.images = arguments.images or (4000 if arguments.small else 99_000)
    if arguments.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda needs a GPU, and torch sees none.')
    return arguments


def build_config(data: Path, arguments: argparse.Namespace) -> Any:
    """Compose the run over the generated domains."""
    name = SMALL if arguments.small else WHOLE
    config = compose(data, name.replace('cmdg_', 'cmdg-full_') if arguments.full else name)
    config.launcher = arguments.launcher
    config.model.backbone.pretrained = None
    if arguments.workers is not None:
        config.train_dataloader.num_workers = arguments.workers
    if arguments.compile:
        graphs = {'mode': 'reduce-overhead'} if arguments.device == 'cuda' else True
        config.model.backbone.update(compile=True, compile_text=graphs)
    config.optim_wrapper.type = 'AmpOptimWrapper' if arguments.amp else 'OptimWrapper'
    if arguments.amp:
        config.optim_wrapper.dtype = 'bfloat16'
    return config


def report_released(arguments: argparse.Namespace) -> None:
    """Time a bridging step as the released recipe's authors run it beside ours."""
    model = 'cmdg-toy-vit' if arguments.small else 'ViT-B-16'
    amp = 'bfloat16' if arguments.amp else None
    size = {'images': arguments.images, 'identities': arguments.images // 8, 'batch': 64}
    setup = make_setup(argparse.Namespace(model=model, device=arguments.device, amp=amp, **size))
    rounds = in_turns(
        {'released': partial(train_step, setup, released_loss), 'ours': partial(train_step, setup, our_loss)},
        arguments.rounds,
    )
    released, ours = medians(rounds).values()
    report(
        f'a bridging step without its loader: {ours * 1e3:.0f} ms; as the released recipe is run by its authors '
        f'{released * 1e3:.0f} ms, {released / ours:.1f} times ours'
    )


def main() -> None:
    """Generate, estimate, compare, print."""
    arguments = parse_arguments()
    if arguments.device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    first = is_first_process(arguments.launcher)
    with joined_processes(arguments.launcher), tempfile.TemporaryDirectory() as folder:
        # Every process has its own copy, as they need not share a disk; the images are links to one picture.
        write_domains(Path(folder), arguments.images)
        config = build_config(Path(folder), arguments)
        saving = (config.get('default_hooks') or {}).get('checkpoint')
        estimates = estimate_stages(config, arguments.steps)
        if first:
            where = device_name(torch.get_num_threads(), on_gpu=arguments.device == 'cuda')
            processes = int(os.environ.get('WORLD_SIZE', 1))
            report(
                f'{arguments.images:,} generated images, random weights, {processes} process(es) on {where}, torch '
                f'{torch.__version__}; extrapolated from {arguments.steps} steps of each stage:'
            )
            report(format_estimates(estimates, saving))
            report(peak_memory())
    if first and processes == 1 and arguments.rounds:
        report_released(arguments)


if __name__ == '__main__':
    main()
