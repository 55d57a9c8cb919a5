"""Say what a run will take on this machine before anyone waits for it.

    python tools/estimate_run.py configs/cmdg/cmdg_toy-vit_islands.py [--steps 10] [--amp] [--cfg-options K=V ...]

Trains a few steps of every stage on the run's own data, in a temporary folder, and prints what the whole stages will
take, what most of a step goes to, the memory and the size of checkpoints. Passes over all images and captions are
worked out from a few batches; scoring the targets is left out.
"""

import argparse
import sys
import tempfile


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_shared_arguments

    parser = argparse.ArgumentParser(description='Estimate time, memory and checkpoints of a run.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--steps', type=int, default=10, help='steps to time in each stage (default: 10)')
    add_shared_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Estimate, and print a table."""
    args = parse_args()
    from cmdg_plugin.cli.command_line import load_training_config
    from cmdg_plugin.cli.input_checks import check_data
    from cmdg_plugin.cli.known_arguments import check_arguments
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.engine.launching import is_first_process, joined_processes

    with OneLineErrors(sys.argv[0], args.debug) as errors, tempfile.TemporaryDirectory() as folder:
        errors.config = config = load_training_config(args)
        with joined_processes(args.launcher):
            config.work_dir = folder
            check_data(config, 'train_dataloader')
            check_arguments(config.to_dict())
            from cmdg_plugin.cli.estimate_table import format_estimates, peak_memory
            from cmdg_plugin.engine.estimating import estimate_stages

            saving = (config.get('default_hooks') or {}).get('checkpoint')
            estimates = estimate_stages(config, args.steps)
            if is_first_process(args.launcher):
                sys.stdout.write(f'{format_estimates(estimates, saving)}\n{peak_memory()}\n')


if __name__ == '__main__':
    main()
