"""Train and test a torchreid model on the same data: the row of the table that ours is compared with.

    python tools/train_torchreid.py --model osnet_x0_25 --epochs 20

By default on Islands: four domains to train on, two unseen ones to be tested on. Weights start at random.
Needs torchreid: pip install 'cmdg_plugin[torchreid]'.
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train and test a torchreid model on the same data.')
    parser.add_argument('--model', default='osnet_x0_25', help='name of a torchreid model (default: osnet_x0_25)')
    parser.add_argument('--data-root', default='data', help='folder of all datasets (default: data)')
    parser.add_argument('--sources', nargs='+', default=['harbor', 'market', 'campus', 'station'], help='training data')
    parser.add_argument('--targets', nargs='+', default=['metro', 'alpine'], help='unseen data')
    parser.add_argument('--epochs', type=int, default=20, help='passes over the training images (default: 20)')
    parser.add_argument('--image-size', type=int, nargs=2, default=(96, 48), help='height and width (default: 96 48)')
    parser.add_argument('--batch-size', type=int, default=32, help='images of a batch (default: 32)')
    parser.add_argument('--lr', type=float, default=1.5e-3, help='first learning rate (default: 0.0015)')
    parser.add_argument('--seed', type=int, default=0, help='seed of weights and order (default: 0)')
    parser.add_argument('--work-dir', default='work_dirs/torchreid', help="folder for torchreid's checkpoint")
    parser.add_argument('--out', help='JSON file for the unrounded scores')
    return parser.parse_args()


def main() -> None:
    """Train, test and show the row."""
    args = parse_args()

    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.evaluation import format_score_table
    from cmdg_plugin.files.writing import dump_whole
    from cmdg_plugin.saying import say
    from cmdg_plugin.toolboxes import train_with_torchreid
    from cmdg_plugin.toolboxes.torchreid_training import Recipe

    recipe = Recipe(
        model=args.model,
        epochs=args.epochs,
        image_size=tuple(args.image_size),
        batch_size=args.batch_size,
        learning_rate=args.lr,
        seed=args.seed,
    )
    with OneLineErrors(sys.argv[0]):
        scores = train_with_torchreid(recipe, args.sources, args.targets, args.data_root, args.work_dir)
        say(f'{args.model}, scores by torchreid (percent)\n{format_score_table(scores)}')
        if args.out is not None:
            dump_whole(scores, args.out)


if __name__ == '__main__':
    main()
