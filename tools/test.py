"""Evaluate a checkpoint on the targets of a config.

python tools/test.py configs/cmdg/cmdg_toy-vit_islands.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth

Without a checkpoint: the weights that training begins with. A file of tools/export.py is scored in the same way.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_shared_arguments

    parser = argparse.ArgumentParser(description='Evaluate a checkpoint on unseen domains.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint, or a file of tools/export.py; default: the first weights',
    )
    parser.add_argument('--out', help='file for the results: .pkl for predictions, .json or .yaml also for metrics')
    parser.add_argument(
        '--out-item', choices=['metrics', 'pred'], help='write metrics or the features of all images; default: pred'
    )
    parser.add_argument('--show-dir', help='folder for pictures of ranked results')
    parser.add_argument(
        '--rerank', action='store_true', help='score k-reciprocal re-ranking, too; settings: test_evaluator.rerank'
    )
    parser.add_argument('--trust', action='store_true', help='read a .pt2 file, which may run code: one of your own')
    add_shared_arguments(parser)
    args = parser.parse_args()
    if args.out_item is not None and args.out is None:
        parser.error('--out-item says what to write; --out must say where.')
    if args.out is not None and args.out_item != 'metrics' and not args.out.endswith(('.pkl', '.pickle')):
        parser.error('--out takes a .pkl file for features; add --out-item metrics to write scores.')
    if args.out_item == 'metrics' and not args.out.endswith(('.json', '.yaml', '.yml', '.pkl', '.pickle')):
        parser.error(f'--out-item metrics takes a .json, .yaml or .pkl file, got {args.out}.')
    return args


def main() -> None:
    """Build the runner from the config and test."""
    args = parse_args()
    from cmdg_plugin.cli.command_line import load_config
    from cmdg_plugin.cli.input_checks import check_checkpoint, check_data
    from cmdg_plugin.cli.known_arguments import check_arguments
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.engine.launching import joined_processes
    from cmdg_plugin.engine.quiet_runner import build_runner
    from cmdg_plugin.evaluation.whole_results import WholeResults
    from cmdg_plugin.exporting import is_exported, use_exported
    from cmdg_plugin.files.writing import dump_whole
    from cmdg_plugin.saying import warn

    with OneLineErrors(sys.argv[0], args.debug) as errors:
        if args.checkpoint is not None and is_exported(args.checkpoint):
            check_exported_options(args)
        errors.config = config = load_config(args)
        if args.checkpoint is not None and not is_exported(args.checkpoint):
            check_checkpoint(args.checkpoint)
        check_data(config, 'test_dataloader')
        if args.checkpoint is not None and is_exported(args.checkpoint):
            use_exported(config, Path(args.checkpoint), args.trust)
            args.checkpoint = None
        with joined_processes(args.launcher):
            lay_over(config, args)
            check_arguments(config.to_dict())
            runner = build_runner(config)
            if config.load_from is None and config.model.type != 'cmdg_plugin.ExportedModel':
                warn('No checkpoint was given: these are scores of the weights that training begins with.')
            if args.out and args.out_item in ('pred', None):
                runner.test_evaluator.metrics.append(WholeResults(args.out))
            metrics = runner.test()
            if args.out and args.out_item == 'metrics':
                dump_whole({**metrics, **find_overlaps(runner, metrics)}, args.out)


def check_exported_options(args: argparse.Namespace) -> None:
    """Refuse options that would change nothing of a model that is complete."""
    options = [f'--cfg-options {key}' for key in args.cfg_options or {} if re.match(r'model\b', key)]
    if args.amp or options:
        option = '--amp' if args.amp else options[0]
        raise ValueError(f'{args.checkpoint} is a complete model, which {option} cannot change: export it anew.')


def find_overlaps(runner: 'Runner', metrics: dict[str, float]) -> dict[str, dict[str, str]]:
    """What must be said beside scores: which targets hold images that the model was trained on."""
    from cmdg_plugin.engine.hooks.results_hook import ResultsHook

    marks = {}
    for hook in runner.hooks:
        if isinstance(hook, ResultsHook):
            marks.update(hook.overlaps(metrics))
    return {'overlaps': marks} if marks else {}


def lay_over(config: 'Config', args: argparse.Namespace) -> None:
    """Lay the arguments of testing over a config."""
    if args.checkpoint is not None:
        config.load_from = args.checkpoint
    if args.rerank:
        evaluator = config.test_evaluator
        for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
            if metric.type.endswith('ReIDMetric'):
                metric.rerank = metric.get('rerank') or True
    if args.amp:
        config.test_cfg.fp16 = True
    if args.show_dir is not None:
        if 'results' not in config.get('default_hooks', {}):
            raise ValueError(
                "--show-dir needs default_hooks.results=dict(type='cmdg_plugin.ResultsHook') in the config."
            )
        config.default_hooks.results.show_dir = args.show_dir


if __name__ == '__main__':
    main()
