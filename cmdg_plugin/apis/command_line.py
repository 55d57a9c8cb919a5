"""Command-line arguments that the training and test tools share, with mmpretrain's meanings."""

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

_VARIABLE_PREFIX = 'CMDG_'


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool on a config takes."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and pictures; default: work_dirs/CONFIG_NAME')
    parser.add_argument('--amp', action='store_true', help='compute in mixed precision')
    add_config_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    # torch.distributed.launch passes it; torchrun sets the environment variable instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add `--cfg-options` alone, for tools that read a config but run nothing."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings laid over the config, as key=value; nested keys as a.b.0.c=value, lists as key="[a,b]"',
    )


def read_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config and lay options over it.

    An option without a dot is also given to the config files while they are read, as the environment variable CMDG_
    followed by its name in capitals (`data_root=DIR` as CMDG_DATA_ROOT): files that ask for it, as
    `'{{$CMDG_DATA_ROOT:data}}'`, compute other values from it, such as every path below the data root.

    Args:
        path: The config file.
        options: Values by dotted key, as `--cfg-options` gives them.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'No config at {path}; the ones that ship with the plugin are in configs/.')
    options = dict(options or {})
    with _in_environment(options) as variables:
        config = Config.fromfile(path)
    for name, variable in variables.items():
        if variable in config.env_variables:
            del options[name]
    config.merge_from_dict(options)
    return _unformatted(config)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line and lay the shared arguments over it.

    Args:
        args: Parsed arguments with `config` and those of `add_shared_arguments`.

    Returns:
        The config, with `work_dir` and `launcher` set.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = read_config(args.config, args.cfg_options)
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return config


def _unformatted(config: Config) -> Config:
    """Make a config write itself without yapf.

    Yapf takes a third of a second each time, and MMEngine writes the config at the start and in every checkpoint.
    """
    return Config(
        config.to_dict(),
        cfg_text=config.text,
        filename=config.filename,
        env_variables=config.env_variables,
        format_python_code=False,
    )


@contextmanager
def _in_environment(options: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Context in which options without a dot are environment variables; gives each one's variable."""
    variables = {name: _VARIABLE_PREFIX + name.upper() for name in options if '.' not in name}
    before = {variable: os.environ.get(variable) for variable in variables.values()}
    os.environ.update({variable: str(options[name]) for name, variable in variables.items()})
    try:
        yield variables
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value
