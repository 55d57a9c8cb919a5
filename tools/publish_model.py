"""Strip a checkpoint to what inference needs.

python tools/publish_model.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth cmdg_toy-vit_islands.pth
"""

import argparse
import sys
from pathlib import Path

from cmdg_plugin.saying import say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Strip a checkpoint to what inference needs.')
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a training run')
    parser.add_argument('out', type=Path, help='file to write; the beginning of its hash is added to the name')
    parser.add_argument('--half', action='store_true', help='store the weights in half precision')
    return parser.parse_args()


def main() -> None:
    """Write the stripped checkpoint and print both sizes."""
    args = parse_args()
    from cmdg_plugin.checkpoints.publishing import publish_model
    from cmdg_plugin.cli.input_checks import check_checkpoint
    from cmdg_plugin.cli.one_line_errors import OneLineErrors

    with OneLineErrors(sys.argv[0]):
        check_checkpoint(args.checkpoint)
        target = publish_model(args.checkpoint, args.out, args.half)
    before, after = (path.stat().st_size / 2**20 for path in (args.checkpoint, target))
    say(f'{args.checkpoint}: {before:,.1f} MiB\n{target}: {after:,.1f} MiB')


if __name__ == '__main__':
    main()
