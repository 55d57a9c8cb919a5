"""Evaluate a checkpoint on the targets of a config.

python tools/test.py configs/cmdg/cmdg_toy-vit_islands.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth
"""

import argparse


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.apis.command_line import add_shared_arguments

    parser = argparse.ArgumentParser(description='Evaluate a checkpoint on unseen domains.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='file for the results: .pkl for predictions, .json or .yaml also for metrics')
    parser.add_argument(
        '--out-item', choices=['metrics', 'pred'], help='write metrics or the features of all images; default: pred'
    )
    parser.add_argument('--show-dir', help='folder for pictures of ranked results')
    parser.add_argument(
        '--rerank', action='store_true', help='score k-reciprocal re-ranking, too; settings: test_evaluator.rerank'
    )
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
    import mmengine
    from mmengine.evaluator import DumpResults
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from cmdg_plugin.apis.command_line import load_config
    from cmdg_plugin.apis.input_checks import check_checkpoint, check_data, exit_on_wrong_input
    from cmdg_plugin.engine.launching import join_processes

    with exit_on_wrong_input():
        config = load_config(args)
        check_checkpoint(args.checkpoint)
        check_data(config, 'test_dataloader')
    join_processes(args.launcher)
    config.load_from = args.checkpoint
    if args.rerank:
        evaluator = config.test_evaluator
        for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
            if metric.type.endswith('ReIDMetric'):
                metric.rerank = metric.get('rerank') or True
    if args.amp:
        config.test_cfg.fp16 = True
    if args.show_dir is not None:
        config.default_hooks.results.show_dir = args.show_dir
    runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
    if args.out and args.out_item in ('pred', None):
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics':
        mmengine.dump(metrics, args.out)


if __name__ == '__main__':
    main()
