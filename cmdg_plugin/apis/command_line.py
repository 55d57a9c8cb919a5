"""Command-line arguments that the training and test tools share, with mmpretrain's meanings."""

import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction

DATA_ROOT_VARIABLE = 'CMDG_DATA_ROOT'
"""Environment variable that says where datasets lie; `--cfg-options data_root=...` sets it for one run."""


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool on a config takes."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and pictures; default: work_dirs/CONFIG_NAME')
    parser.add_argument('--amp', action='store_true', help='compute in mixed precision')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings laid over the config, as key=value; nested keys as a.b.0.c=value, lists as key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    # torch.distributed.launch passes it; torchrun sets the environment variable instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line and lay the shared arguments over it.

    Args:
        args: Parsed arguments with `config` and those of `add_shared_arguments`.

    Returns:
        The config, with `work_dir` and `launcher` set.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    if not Path(args.config).is_file():
        raise FileNotFoundError(f'No config at {args.config}; the ones that ship with the plugin are in configs/.')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    options = dict(args.cfg_options or {})
    if 'data_root' in options:
        # Paths below the data root are put together while the config is read, so it must be known before.
        os.environ[DATA_ROOT_VARIABLE] = str(options.pop('data_root'))
    config = Config.fromfile(args.config)
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    config.merge_from_dict(options)
    return config
