"""What a caption file is like: coverage, lengths, words, diversity, near-duplicates, and random images.

    python tools/caption_report.py captions.json --images IMAGES --out report.html
    python tools/caption_report.py captions.json market1501.json --out comparison.html

Files are generated or released ones; several become columns. The numbers lie beside the page as JSON.
"""

import argparse
import sys
from pathlib import Path

from cmdg_plugin.saying import complain, say


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Describe caption files on a page')
    parser.add_argument('captions', type=Path, nargs='+', help='caption files (.json)')
    parser.add_argument(
        '--images', type=Path, nargs='+', default=[], help='image folder of each file, in the same order'
    )
    parser.add_argument('--out', type=Path, default=Path('caption_report.html'), help='page to write (.html)')
    parser.add_argument('--examples', type=int, default=24, help='random images to show (default: 24)')
    parser.add_argument('--seed', type=int, default=0, help='draws them (default: 0)')
    parser.add_argument('--top', type=int, default=15, help='words and phrases to list (default: 15)')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Write the report and say where it is; returns the exit code."""
    args = parse_args(arguments)
    from cmdg_plugin.captioning.report import report_on_file, write_report

    try:
        if len(args.images) > len(args.captions):
            raise ValueError(
                f'{len(args.images)} image folders for {len(args.captions)} caption files; give one a file.'
            )
        roots = [*args.images, *[None] * (len(args.captions) - len(args.images))]
        reports = [
            report_on_file(path, root, num_examples=args.examples, seed=args.seed, top=args.top)
            for path, root in zip(args.captions, roots, strict=True)
        ]
        numbers = write_report(reports, args.out)
    except (OSError, ValueError) as error:
        complain(f'{type(error).__name__}: {error}')
        return 1
    say(f'report: {args.out}, numbers: {numbers}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
