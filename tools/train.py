"""Train a config through all its stages.

python tools/train.py configs/cmdg/cmdg_toy-vit_islands.py
"""

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_shared_arguments

    parser = argparse.ArgumentParser(description='Train a model through all its stages.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or without a value from the latest one in the work folder',
    )
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate during training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale learning rates by the batch size over auto_scale_lr.base_batch_size',
    )
    add_shared_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Build the runner from the config and train."""
    args = parse_args()
    from cmdg_plugin.cli.command_line import load_training_config
    from cmdg_plugin.cli.input_checks import check_checkpoint, check_data, hold_work_dir
    from cmdg_plugin.cli.known_arguments import check_arguments
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.engine.launching import joined_processes
    from cmdg_plugin.engine.quiet_runner import build_runner

    with OneLineErrors(sys.argv[0], args.debug, resumable=True) as errors:
        errors.config = config = load_training_config(args)
        with joined_processes(args.launcher), hold_work_dir(config):
            lay_over(config, args)
            if config.get('load_from'):
                check_checkpoint(config.load_from)
            check_data(config, 'train_dataloader', 'val_dataloader')
            check_arguments(config.to_dict())
            build_runner(config).train()


def lay_over(config: 'Config', args: argparse.Namespace) -> None:
    """Lay the arguments of training over a config."""
    from cmdg_plugin.checkpoints.finding import find_checkpoint

    if args.no_validate:
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
    if args.resume is not None:
        config.load_from = find_checkpoint(config.work_dir) if args.resume == 'auto' else args.resume
        config.resume = config.load_from is not None
    if args.auto_scale_lr:
        if config.get('auto_scale_lr') is None:
            raise ValueError('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config.')
        config.auto_scale_lr.enable = True


if __name__ == '__main__':
    main()
