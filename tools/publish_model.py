"""Strip a checkpoint to what inference needs.

    python tools/publish_model.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth cmdg_toy-vit_islands.pth --card

The card, Markdown and JSON beside the file, says what the model was trained on and under whose terms, how, and what it
is not for; `--results work_dirs/cmdg_toy-vit_islands/results.json` adds its scores.
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
    parser.add_argument('--card', action='store_true', help='write a model card beside the file, as Markdown and JSON')
    parser.add_argument('--results', type=Path, help="scores for the card: a run's results.json, or metrics of test.py")
    args = parser.parse_args()
    if args.results and not args.card:
        parser.error('--results go into a model card: add --card.')
    return args


def main() -> None:
    """Write the stripped checkpoint and print both sizes."""
    args = parse_args()
    from cmdg_plugin.apis.model_card import write_model_card
    from cmdg_plugin.checkpoints.publishing import publish_model
    from cmdg_plugin.cli.input_checks import check_checkpoint
    from cmdg_plugin.cli.one_line_errors import OneLineErrors

    with OneLineErrors(sys.argv[0]):
        check_checkpoint(args.checkpoint)
        target = publish_model(args.checkpoint, args.out, args.half)
        cards = write_model_card(target, args.results) if args.card else ()
    before, after = (path.stat().st_size / 2**20 for path in (args.checkpoint, target))
    say(f'{args.checkpoint}: {before:,.1f} MiB\n{target}: {after:,.1f} MiB')
    for card in cards:
        say(str(card))


if __name__ == '__main__':
    main()
