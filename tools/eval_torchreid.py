"""Let torchreid evaluate a checkpoint: its data manager, its feature extraction, its metrics.

    python tools/eval_torchreid.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth --data-root data --targets metro alpine

The checkpoint's own config says how images are prepared. Needs torchreid: pip install 'cmdg_plugin[torchreid]'.
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Let torchreid evaluate a checkpoint.')
    parser.add_argument('checkpoint', help='checkpoint file of a run')
    parser.add_argument('--data-root', default='data', help='folder of all datasets (default: data)')
    parser.add_argument(
        '--targets',
        nargs='+',
        required=True,
        help="torchreid's own datasets (market1501, ...), Islands' domains (metro, alpine, ...), or cmdg_NAME for a "
        'public dataset with the released split',
    )
    parser.add_argument('--config', help='config, where the checkpoint carries none')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='let the checkpoint import the modules that its config names; its author may then run code here',
    )
    parser.add_argument('--flip', action='store_true', help="average every image's features with its mirror image's")
    parser.add_argument('--show-dir', help="folder for torchreid's pictures of ranked results")
    parser.add_argument('--batch-size', type=int, default=128, help='images encoded at a time (default: 128)')
    parser.add_argument('--workers', type=int, default=0, help='processes that read images (default: none)')
    parser.add_argument('--device', help='where to compute (default: a GPU if there is one)')
    parser.add_argument('--out', help='JSON file for the unrounded scores')
    return parser.parse_args()


def main() -> None:
    """Load the checkpoint and hand it to torchreid."""
    args = parse_args()

    from cmdg_plugin.apis import init_model
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.evaluation import format_score_table
    from cmdg_plugin.files.writing import dump_whole
    from cmdg_plugin.saying import say
    from cmdg_plugin.toolboxes import evaluate_with_torchreid

    with OneLineErrors(sys.argv[0]):
        model = init_model(args.config, args.checkpoint, args.device, trust=args.trust)
        model.flip_test = model.flip_test or args.flip
        scores = evaluate_with_torchreid(
            model,
            args.targets,
            args.data_root,
            batch_size=args.batch_size,
            num_workers=args.workers,
            show_dir=args.show_dir,
        )
        say(f'Scores by torchreid (percent)\n{format_score_table(scores)}')
        if args.out is not None:
            dump_whole(scores, args.out)


if __name__ == '__main__':
    main()
