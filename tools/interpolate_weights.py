"""Move a trained image tower back towards its pretrained weights (WiSE-FT).

    python tools/interpolate_weights.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth mixed.pth --alpha 0.5

writes (1 - alpha) pretrained + alpha fine-tuned. To choose alpha, give a model that was trained without one source, and
the config that scores it on that one:

    python tools/interpolate_weights.py work_dirs/held_out/epoch_38.pth mixed.pth --choose 0 0.25 0.5 0.75 1 \
        --config configs/cmdg/cmdg_toy-vit_islands.py --cfg-options held_out=station
"""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_config_options

    parser = argparse.ArgumentParser(description='Move a trained image tower back towards its pretrained weights.')
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a training run, or a published one')
    parser.add_argument('out', type=Path, help='checkpoint to write')
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument('--alpha', type=float, help='share of the fine-tuned weights, from 0 to 1')
    chosen.add_argument(
        '--choose', type=float, nargs='+', metavar='ALPHA', help='shares to score on a held-out source; takes the best'
    )
    parser.add_argument('--pretrained', help="tag, file or folder; default: what the checkpoint's config names")
    parser.add_argument(
        '--config', help='config of the model, with --choose one whose targets are held-out sources; default: its own'
    )
    parser.add_argument('--metric', default='average/mAP', help='with --choose: score to choose by (average/mAP)')
    add_config_options(parser)
    args = parser.parse_args()
    if args.choose is not None and args.config is None:
        parser.error('--choose needs --config, which says what is scored.')
    if args.cfg_options and args.config is None:
        parser.error('--cfg-options are laid over --config, and there is none.')
    return args


def main() -> None:
    """Mix the weights and write the checkpoint."""
    args = parse_args()
    from cmdg_plugin.cli.choosing_alpha import check_held_out, choose_alpha
    from cmdg_plugin.cli.command_line import read_config
    from cmdg_plugin.cli.input_checks import check_checkpoint
    from cmdg_plugin.cli.one_line_errors import OneLineErrors

    with OneLineErrors(sys.argv[0]) as errors:
        check_checkpoint(args.checkpoint)
        import torch

        from cmdg_plugin.checkpoints.interpolating import interpolate_checkpoint, pretrained_image_weights
        from cmdg_plugin.checkpoints.reading import read_checkpoint
        from cmdg_plugin.checkpoints.stored_config import read_checkpoint_config
        from cmdg_plugin.files.writing import open_whole_bytes
        from cmdg_plugin.saying import say

        checkpoint = read_checkpoint(args.checkpoint)
        errors.config = read_config(args.config, args.cfg_options) if args.config else None
        config = errors.config or read_checkpoint_config(args.checkpoint)
        if args.choose is not None:
            check_held_out(config, checkpoint)
        backbone = {**config.model.backbone, **({'pretrained': args.pretrained} if args.pretrained else {})}
        pretrained = pretrained_image_weights(backbone, checkpoint.get('meta', {}).get('quick_gelu'))
        alpha = args.alpha
        if args.choose is not None:
            alpha = choose_alpha(config, args.checkpoint, pretrained, args.choose, args.metric)
        with open_whole_bytes(args.out) as file:
            torch.save(interpolate_checkpoint(checkpoint, pretrained, alpha), file)
        say(f'{args.out}: alpha {alpha:g}')


if __name__ == '__main__':
    main()
