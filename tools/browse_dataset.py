"""Show augmented training images of a config with their captions, as one picture.

python tools/browse_dataset.py configs/cmdg/cmdg_toy-vit_islands.py --out grid.png
"""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_config_options

    parser = argparse.ArgumentParser(description='Draw augmented training images with their captions.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--out', type=Path, required=True, help='picture to write, such as grid.png')
    parser.add_argument('--num', type=int, default=12, help='number of images, as many of each source (default: 12)')
    parser.add_argument('--seed', type=int, default=0, help='which images, and how they are augmented (default: 0)')
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Build the training set of the config, draw some of it and write the picture."""
    args = parse_args()
    from mmengine.registry import init_default_scope
    from PIL import Image

    from cmdg_plugin.cli.command_line import read_config
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.files.writing import open_whole_bytes
    from cmdg_plugin.registry import DATASETS
    from cmdg_plugin.saying import say
    from cmdg_plugin.visualization import draw_training_grid, take_training_pictures

    with OneLineErrors(sys.argv[0]):
        kind = Image.registered_extensions().get(args.out.suffix.lower())
        if kind is None:
            raise ValueError(f'--out takes a picture, such as grid.png, got {args.out}.')
        config = read_config(args.config, args.cfg_options)
        init_default_scope(config.get('default_scope', 'cmdg_plugin'))
        dataset = DATASETS.build(config.train_dataloader.dataset)
        bgr = config.model.get('data_preprocessor', {}).get('to_rgb', True)
        pictures = take_training_pictures(dataset, args.num, seed=args.seed, bgr=bgr)
        with open_whole_bytes(args.out) as file:
            draw_training_grid(pictures).save(file, format=kind)
    say(f'{len(pictures)} of {len(dataset):,} training images: {args.out}')


if __name__ == '__main__':
    main()
