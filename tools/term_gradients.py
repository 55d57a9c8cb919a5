"""Show how much each loss term pulls at the image tower where a run stands.

    python tools/term_gradients.py configs/cmdg/cmdg_toy-vit_islands.py work_dirs/cmdg_toy-vit_islands/epoch_37.pth

Goes on from the checkpoint as `tools/train.py --resume` would, measures the gradient of every weighted term on the
first batches of the next epoch, and changes nothing: neither weights nor checkpoints.
"""

import argparse
import sys
import tempfile


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_config_options

    parser = argparse.ArgumentParser(description='Measure the gradient of each loss term.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint to go on from; default: measure the first epoch')
    parser.add_argument('--num-batches', type=int, default=10, help='batches to measure (default: 10)')
    parser.add_argument(
        '--parameters',
        default='backbone.clip.visual',
        help="beginning of the parameters' names (default: backbone.clip.visual)",
    )
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Measure, and print a table."""
    args = parse_args()
    from cmdg_plugin.cli.command_line import read_config
    from cmdg_plugin.cli.input_checks import check_checkpoint, check_data
    from cmdg_plugin.cli.known_arguments import check_arguments
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.engine.hooks import MeasuredTerms, TermGradientHook
    from cmdg_plugin.engine.quiet_runner import build_runner
    from cmdg_plugin.saying import say

    hook = TermGradientHook(args.parameters, args.num_batches)
    with OneLineErrors(sys.argv[0]) as errors, tempfile.TemporaryDirectory() as folder:
        errors.config = config = read_config(args.config, args.cfg_options)
        if args.checkpoint is not None:
            check_checkpoint(args.checkpoint)
        config.update(load_from=args.checkpoint, resume=args.checkpoint is not None, work_dir=folder)
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
        check_data(config, 'train_dataloader')
        check_arguments(config.to_dict())
        runner = build_runner(config)
        runner.register_hook(hook)
        try:
            runner.train()
        except MeasuredTerms:
            say(hook.table())


if __name__ == '__main__':
    main()
