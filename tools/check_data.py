"""Whether the data of a config, or the public datasets of a protocol, are there and sound.

    python tools/check_data.py --config CONFIG [--cfg-options ...] [--out FILE]
    python tools/check_data.py DATA_ROOT
    python tools/check_data.py DATA_ROOT --protocol p1

With a config, any data can be checked, also your own: lists all sources, reads all captions, opens every image and
lists everything that is wrong at once. Exit code: 0, or 1 if there is a problem.

With a folder, prints a table of the public datasets next to the expected numbers, and for what is missing the
folders in which it is expected. Exit code: 0, or 1 if the named protocol is not ready.
"""

import argparse
import os
import sys
from pathlib import Path


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_config_options

    parser = argparse.ArgumentParser(
        description='Check the data of a config, also your own, or public datasets and the protocols'
    )
    parser.add_argument('--config', help='check what this config trains on and evaluates: every source, caption, image')
    add_config_options(parser)
    parser.add_argument('--out', type=Path, help='with --config: file that lists every image with a problem')
    threads = min(8, os.cpu_count() or 1)
    parser.add_argument(
        '--num-workers', type=int, default=threads, help=f'threads that open images (default: {threads})'
    )
    default = os.environ.get('CMDG_DATA_ROOT') or 'data'
    parser.add_argument('data_root', type=Path, nargs='?', help=f'folder of all datasets (default: {default})')
    parser.add_argument('--protocol', help='p1, p2_TARGET or p3_TARGET; TARGET is market1501, msmt17 or cuhk03')
    parser.add_argument('--captions', type=Path, help='folder to look for caption files first (default: in DATA_ROOT)')
    for name, first in (('msmt17', 'MSMT17_V1'), ('cuhk03', 'labeled')):
        value = os.environ.get(f'CMDG_{name.upper()}_VERSION') or first
        parser.add_argument(f'--{name}-version', default=value, help=f'version that counts (default: {value})')
    args = parser.parse_args(arguments)
    if args.config is None and (args.cfg_options or args.out):
        parser.error('--cfg-options and --out go with --config.')
    if args.config is not None and args.data_root is not None:
        parser.error(f'with --config, the folder of all datasets is said by --cfg-options data_root={args.data_root}.')
    args.data_root = args.data_root or Path(default)
    if args.config is not None and (args.protocol or args.captions):
        parser.error('--config says itself which data and captions it uses: leave out --protocol and --captions.')
    return args


def main(arguments: list[str] | None = None) -> int:
    """Check, and write the report to standard output; returns the exit code."""
    args = parse_args(arguments)
    return _check_datasets(args) if args.config is None else _check_config(args)


def _check_config(args: argparse.Namespace) -> int:
    from cmdg_plugin.cli.command_line import read_config
    from cmdg_plugin.datasets.checking import check_config, draw_config_check
    from cmdg_plugin.files.writing import write_whole

    try:
        check = check_config(read_config(args.config, args.cfg_options), args.num_workers)
        sys.stdout.write(draw_config_check(check) + '\n')
        if args.out is not None:
            write_whole(args.out, draw_config_check(check, shown=None) + '\n')
    except (ImportError, OSError, ValueError) as error:
        sys.stderr.write(f'{error}\n')
        return 1
    return 1 if check.problems else 0


def _check_datasets(args: argparse.Namespace) -> int:
    # Here, so that -h answers at once.
    from cmdg_plugin.datasets.checking import PROTOCOLS, check_datasets, draw_table, explain, find_obstacles

    chosen = list(PROTOCOLS) if args.protocol is None else [args.protocol.lower()]
    try:
        if chosen[0] not in PROTOCOLS:
            raise ValueError(f'expected one of the protocols {", ".join(PROTOCOLS)}, got {args.protocol!r}.')
        for folder in filter(None, (args.data_root, args.captions)):
            if not folder.is_dir():
                raise FileNotFoundError(f'no folder {folder.absolute()}.')
        versions = {'msmt17': args.msmt17_version, 'cuhk03': args.cuhk03_version}
        checks = check_datasets(args.data_root, captions=args.captions, versions=versions)
    except (FileNotFoundError, ValueError) as error:
        sys.stderr.write(f'{error}\n')
        return 1
    obstacles = {name: find_obstacles(PROTOCOLS[name], {check.name: check for check in checks}) for name in chosen}
    needed = {name for protocol in chosen for name in PROTOCOLS[protocol].names}
    verdicts = (
        f'{name}: ready' if not found else '\n  - '.join([f'{name}: not ready', *found])
        for name, found in obstacles.items()
    )
    parts = (draw_table(checks), explain(checks, needed), '\n'.join(verdicts))
    sys.stdout.write('\n\n'.join(part for part in parts if part) + '\n')
    return int(args.protocol is not None and any(obstacles.values()))


if __name__ == '__main__':
    sys.exit(main())
