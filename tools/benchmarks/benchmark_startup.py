"""Time and peak memory from the command to the first training step, at the size of protocol 1.

    python tools/benchmarks/benchmark_startup.py [--records 99000] [--rounds 1] [--hide transformers] [--profile]

Four domains of generated records, released-style caption files and an image file for each record (links to one picture
a domain), are trained on with the toy tower by a fresh process, which stops after its first step: without
`index_cache`, with it for the first time, and for the second. `--hide` names packages that the process does not find;
`--profile` adds where its time went, by function.
"""

import argparse
import contextlib
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import MEBIBYTE, REPOSITORY, Enough, report, resident

DOMAINS = ('alpha', 'beta', 'gamma', 'delta')
IMAGES_PER_IDENTITY = 8


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time a run from its command to its first step.')
    parser.add_argument('--records', type=int, default=99_000)
    parser.add_argument('--rounds', type=int, default=1, help='times that the three take turns')
    parser.add_argument('--hide', nargs='*', default=[], metavar='PACKAGE')
    parser.add_argument('--profile', action='store_true')
    parser.add_argument('--started', type=float, help=argparse.SUPPRESS)
    parser.add_argument('--data', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--index-cache', help=argparse.SUPPRESS)
    return parser.parse_args()


def write_domain(root: Path, name: str, records: int) -> None:
    """Write a caption file in Market-1501's released nesting and the images it speaks of."""
    import numpy as np
    from PIL import Image

    folder = root / name / 'bounding_box_train'
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(256, size=(128, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / f'{name}.jpg')
    content = []
    for record in range(records):
        identity, shot = record // IMAGES_PER_IDENTITY + 1, record % IMAGES_PER_IDENTITY
        path = f'bounding_box_train/{identity:04d}_c{shot % 4 + 1}s1_{record:06d}_01.jpg'
        os.link(root / f'{name}.jpg', root / name / path)
        captions = [f'The {region} of person {identity} as seen in picture {shot}, ' * 3 for region in 'gulm']
        content.append({'id': identity, 'cmid': shot % 4 + 1, 'file_path': path, 'captions': captions})
    (root / f'{name}.json').write_text(json.dumps(content))


def build_config(data: Path) -> Any:
    """Compose the toy run over the generated domains, without validation and workers."""
    config = compose(data, REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py')
    config.train_dataloader.num_workers = 0
    return config


def compose(data: Path, path: Path) -> Any:
    """Read a config and lay the generated domains over its sources, without validation."""
    from cmdg_plugin.cli.command_line import read_config

    config = read_config(str(path))
    config.train_dataloader.dataset.sources = [
        {
            'type': 'CaptionFileSource',
            'name': name,
            'root': str(data / name),
            'caption_file': str(data / f'{name}.json'),
        }
        for name in DOMAINS
    ]
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.test_cfg = config.test_dataloader = config.test_evaluator = None
    config.launcher = 'none'
    config.work_dir = str(data / 'work')
    config.train_dataloader.dataset.index_cache = None
    return config


def run_to_first_step(data: Path, started: float, index_cache: str | None) -> None:
    """Do what `tools/train.py` does up to the first step, and report the milestones."""
    milestones: list[tuple[str, float, float, int]] = []

    def reach(name: str) -> None:
        milestones.append((name, time.time() - started, time.process_time(), resident('VmHWM')))

    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    from cmdg_plugin.cli.input_checks import check_data
    from cmdg_plugin.cli.known_arguments import check_arguments
    from cmdg_plugin.engine.quiet_runner import build_runner

    class Milestones(Hook):
        def before_train(self, runner: Runner) -> None:
            reach('data indexed, stages checked')

        def before_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
            reach('first batch')

        def after_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
            reach('first step')
            raise Enough

    reach('torch, mmengine and plugin imported')
    config = build_config(data)
    config.train_dataloader.dataset.index_cache = index_cache
    check_data(config, 'train_dataloader')
    check_arguments(config.to_dict())
    runner = build_runner(config)
    runner.register_hook(Milestones())
    reach('config checked, model built')
    with contextlib.suppress(Enough):
        runner.train()
    report(f'{"":<36}{"wall":>10}{"CPU":>10}{"peak":>12}')
    before = 0.0, 0.0
    for name, wall, busy, memory in milestones:
        report(f'{name:<36}{wall - before[0]:>8.1f} s{busy - before[1]:>8.1f} s{memory / MEBIBYTE:>8.0f} MiB')
        before = wall, busy
    report(f'{"in all":<36}{before[0]:>8.1f} s{before[1]:>8.1f} s')


def main() -> None:
    """Write the data and start the process that is measured; or be that process."""
    arguments = parse_arguments()
    if arguments.data is not None:
        for package in arguments.hide:
            sys.modules[package] = None  # type: ignore[assignment]  # that is how Python marks what cannot be imported
        profile = cProfile.Profile() if arguments.profile else contextlib.nullcontext()
        with profile:
            run_to_first_step(arguments.data, arguments.started, arguments.index_cache)
        if isinstance(profile, cProfile.Profile):
            pstats.Stats(profile).sort_stats('cumulative').print_stats(
                'cmdg_plugin|importlib.*find_and_load|runner', 40
            )
        return
    from cmdg_plugin.files.witness import SETTLED

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for name in DOMAINS:
            write_domain(data, name, arguments.records // len(DOMAINS))
        report(f'{arguments.records:,} records in {len(DOMAINS)} domains')
        time.sleep(SETTLED)  # an index of files that have just changed is not kept
        kept = str(data / 'index' / 'kept.index')
        for _ in range(arguments.rounds):
            Path(kept).unlink(missing_ok=True)
            for title, cache in (('no index_cache', None), ('first start', kept), ('second start', kept)):
                report(f'\n{title}')
                start_process(data, cache, arguments)


def start_process(data: Path, index_cache: str | None, arguments: argparse.Namespace) -> None:
    """Let a fresh process train to its first step."""
    command = [sys.executable, __file__, '--data', str(data), '--hide', *arguments.hide]
    command += ['--index-cache', index_cache] if index_cache else []
    command += ['--profile'] if arguments.profile else []
    subprocess.run([*command, '--started', str(time.time())], check=True, stderr=subprocess.DEVNULL)


if __name__ == '__main__':
    main()
