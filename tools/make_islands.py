"""Make the Islands benchmark in a folder of your choice.

    python tools/make_islands.py data/islands
    python tools/make_islands.py data/islands-large --size large

The configs make it on first use; this tool is for looking at it, or for making it before many jobs start.
"""

import argparse
import sys
from pathlib import Path

from cmdg_plugin.saying import say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Make the Islands benchmark: domains of drawn people, with captions')
    parser.add_argument('root', type=Path, help='folder to make it in')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other people (default: 0)')
    parser.add_argument(
        '--size', choices=('small', 'large'), default='small', help='large is for studies (default: small)'
    )
    return parser.parse_args()


def main() -> None:
    """Make the benchmark and say where each part of it lies."""
    args = parse_args()
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.islands import SOURCE_DOMAINS, build_islands, find_size

    with OneLineErrors(sys.argv[0]):
        root = build_islands(args.root, seed=args.seed, size=args.size)
    for kind, names in (('source', SOURCE_DOMAINS), ('target', find_size(args.size).target_domains)):
        for name in names:
            say(f'{kind} {name}: images {root / name}, captions {root / f"{name}.json"}')


if __name__ == '__main__':
    main()
