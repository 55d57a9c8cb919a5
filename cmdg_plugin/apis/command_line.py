"""Command-line arguments that the training and test tools share, with mmpretrain's meanings."""

import argparse
import difflib
import inspect
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.logging import print_log

from cmdg_plugin.apis.option_names import resolve_names

_VARIABLE_PREFIX = 'CMDG_'
_READ_FROM_WITHIN = {
    'auto_scale_lr': ('enable', 'base_batch_size'),
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
}
_READ_BY_RUNNER = ('compile', 'custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'runner_type', 'sync_bn')


class _OptionAction(DictAction):
    """MMEngine's action, with a message for what is no `key=value`."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        """Read the options; see the base class."""
        for value in values:
            if '=' not in value:
                parser.error(f'{option} takes key=value, got {value}')
        super().__call__(parser, namespace, values, option)


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
        action=_OptionAction,
        help='settings laid over the config, as key=value; nested keys as a.b.0.c=value, lists as key="[a,b]"',
    )


def read_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config and lay options over it.

    An option without a dot is also given to the config files while they are read, as the environment variable CMDG_
    followed by its name in capitals (`data_root=DIR` as CMDG_DATA_ROOT): files that ask for it, as
    `'{{$CMDG_DATA_ROOT:data}}'`, compute other values from it, such as every path below the data root.

    Args:
        path: The config file.
        options: Values by dotted key, as `--cfg-options` gives them; an entry of a list is called by its position, its
            `name` or its `type`.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If an option is one that nothing reads, or names no entry of a list.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'No config at {path}; the ones that ship with the plugin are in configs/.')
    options = dict(options or {})
    with _in_environment(options) as variables:
        config = Config.fromfile(path)
    for name, variable in variables.items():
        if variable in config.env_variables:
            del options[name]
    _check_options(options, config)
    config.merge_from_dict(resolve_names(options, config.to_dict()))
    return _unformatted(config)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line and lay the shared arguments over it.

    Args:
        args: Parsed arguments with `config` and those of `add_shared_arguments`.

    Returns:
        The config, with `work_dir` and `launcher` set.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If an option is one that nothing reads.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = read_config(args.config, args.cfg_options)
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return config


def find_checkpoint(work_dir: str | Path) -> str | None:
    """Find the checkpoint that a run goes on from: the one of the latest epoch.

    MMEngine asks a file that names the latest one, and starts over without a word where that file is lost.

    Args:
        work_dir: The run's folder.

    Returns:
        Its path; None, said in the log, if there is none.
    """
    found = {
        int(match.group(1)): path
        for path in Path(work_dir).glob('epoch_*.pth')
        if (match := re.fullmatch(r'epoch_(\d+)\.pth', path.name))
    }
    if not found:
        print_log(f'No checkpoint in {work_dir}: starting from the beginning.', logger='current', level=logging.WARNING)
        return None
    return str(found[max(found)])


def _check_options(options: Mapping[str, Any], config: Config) -> None:
    """Refuse options that nothing reads, which would be accepted and ignored."""
    from mmengine.runner import Runner  # here, so that a tool's -h answers at once

    known = {*inspect.signature(Runner.__init__).parameters, *_READ_BY_RUNNER} - {'self', 'cfg'}
    for name in options:
        top = name.split('.')[0]
        if top not in known and top not in config:
            close = difflib.get_close_matches(top, [*known, *config], n=1)
            hint = f'; did you mean {close[0]}?' if close else ''
            raise ValueError(f'--cfg-options {name}: the config has no {top}{hint}')
        if '.' not in name and top not in known:
            raise ValueError(
                f'--cfg-options {name}: the config computes other values from {name} while it is read, so a change '
                'comes too late; set those values themselves, or change the file'
            )
        inner = name.split('.')[1] if '.' in name else None
        if inner is not None and inner not in _READ_FROM_WITHIN.get(top, (inner,)):
            raise ValueError(f'--cfg-options {name}: {top} has {", ".join(_READ_FROM_WITHIN[top])}, and no {inner}')


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
