"""Which datasets are there and complete, and whether a protocol can be run on them.

    python tools/check_data.py DATA_ROOT
    python tools/check_data.py DATA_ROOT --protocol p1

Prints a table of the nine public datasets next to the expected numbers, and for what is missing the folders in which it
is expected. Exit code: 0, or 1 if the named protocol is not ready.
"""

import argparse
import os
import sys
from pathlib import Path


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Check the nine public datasets, their captions and the protocols')
    default = os.environ.get('CMDG_DATA_ROOT') or 'data'
    parser.add_argument(
        'data_root', type=Path, nargs='?', default=Path(default), help=f'folder of all datasets (default: {default})'
    )
    parser.add_argument('--protocol', help='p1, p2_TARGET or p3_TARGET; TARGET is market1501, msmt17 or cuhk03')
    parser.add_argument('--captions', type=Path, help='folder to look for caption files first (default: in DATA_ROOT)')
    for name, first in (('msmt17', 'MSMT17_V1'), ('cuhk03', 'labeled')):
        value = os.environ.get(f'CMDG_{name.upper()}_VERSION') or first
        parser.add_argument(f'--{name}-version', default=value, help=f'version that counts (default: {value})')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Check, and write the report to standard output; returns the exit code."""
    args = parse_args(arguments)
    # Here, so that -h answers at once.
    from cmdg_plugin.datasets.checking import PROTOCOLS, check_datasets, draw_table, explain, find_obstacles

    chosen = list(PROTOCOLS) if args.protocol is None else [args.protocol.lower()]
    try:
        if chosen[0] not in PROTOCOLS:
            raise ValueError(f'expected one of the protocols {", ".join(PROTOCOLS)}, got {args.protocol!r}')
        for folder in filter(None, (args.data_root, args.captions)):
            if not folder.is_dir():
                raise FileNotFoundError(f'no folder {folder.absolute()}')
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
