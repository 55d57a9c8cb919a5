"""Train a config through all its stages.

python tools/train.py configs/cmdg/cmdg_toy-vit_islands.py
"""

import argparse


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.apis.command_line import add_shared_arguments

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
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from cmdg_plugin.apis.command_line import find_checkpoint, load_config
    from cmdg_plugin.apis.input_checks import check_checkpoint, check_data, exit_on_wrong_input
    from cmdg_plugin.engine.launching import join_processes

    with exit_on_wrong_input():
        config = load_config(args)
    join_processes(args.launcher)
    if args.no_validate:
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
    if args.amp:
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume is not None:
        config.load_from = find_checkpoint(config.work_dir) if args.resume == 'auto' else args.resume
        config.resume = config.load_from is not None
    with exit_on_wrong_input():
        if config.get('load_from'):
            check_checkpoint(config.load_from)
        check_data(config, 'train_dataloader', 'val_dataloader')
    if args.auto_scale_lr:
        config.auto_scale_lr.enable = True
    runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
    runner.train()


if __name__ == '__main__':
    main()
