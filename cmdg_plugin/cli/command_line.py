"""Command-line arguments that the training and test tools share, with mmpretrain's meanings."""

import argparse
import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmdg_plugin.cli.config_reading import read_file
from cmdg_plugin.cli.option_names import find_place
from cmdg_plugin.cli.option_values import OptionText, read_value
from cmdg_plugin.cli.read_settings import check_is_read


class _OptionAction(argparse.Action):
    """Collects `key=value` as text: what it means depends on the config, which MMEngine's own action does not know."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        """Add the options to those before."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for value in values:
            key, separator, text = value.partition('=')
            if not key.strip(':') or not separator:
                parser.error(f'{option} takes key=value, got {value}.')
            options[key] = OptionText(text)
        setattr(namespace, self.dest, options)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool on a config takes."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and pictures; default: work_dirs/CONFIG_NAME')
    add_amp(parser)
    add_config_options(parser)
    parser.add_argument('--debug', action='store_true', help='show where in the code an error arose')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    # torch.distributed.launch passes it; torchrun sets the environment variable instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_amp(parser: argparse.ArgumentParser) -> None:
    """Add `--amp` alone, for tools that train but are not run themselves."""
    parser.add_argument('--amp', action='store_true', help='compute in mixed precision')


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add `--cfg-options` alone, for tools that read a config but run nothing."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_OptionAction,
        help='settings laid over the config, as key=value; nested keys as a.b.0.c=value, lists as key="[a,b]"; where a '
        'string stands the value is that text, and key:=VALUE is a Python literal anywhere',
    )


def train_in_mixed_precision(args: argparse.Namespace) -> None:
    """Lay `--amp` under the options of a command line, which may say more about it."""
    if args.amp:
        args.cfg_options = {'optim_wrapper.type': 'AmpOptimWrapper', **(args.cfg_options or {})}


def read_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config and lay options over it.

    An option without a dot is also given to the config files while they are read, as the environment variable CMDG_
    followed by its name in capitals (`data_root=DIR` as CMDG_DATA_ROOT): files that ask for it compute other values
    from it, such as every path below the data root. An empty one counts as not given.

    Args:
        path: The config file.
        options: Values by dotted key, as `--cfg-options` gives them; an entry of a list is called by its position, its
            `name` or its `type`. What is `OptionText` is read by what stands in its place.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the config cannot be read, or an option is one that nothing reads, has no place in the config, or
            a value of the wrong kind.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'No config at {path}; the ones that ship with the plugin are in configs/.')
    options = options or {}
    top = {name.rstrip(':'): str(value) for name, value in options.items() if '.' not in name}
    config, used = read_file(path, top)
    changes: dict[str, Any] = {}
    view = _with_types(config, options)
    for name, value in options.items():
        if name.rstrip(':') in used:
            continue
        check_is_read(name.rstrip(':'), config)
        place = find_place(name.rstrip(':'), view)
        if isinstance(value, OptionText):
            value = read_value(name, value, place)
        _add_change(changes, place.path, value, config.to_dict())
    try:
        config.merge_from_dict(changes)
    except (TypeError, AttributeError, LookupError) as error:
        raise ValueError(f'--cfg-options {" ".join(options)} cannot be laid over one another: {error}.') from error
    return config


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line and lay the shared arguments over it.

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


def load_training_config(args: argparse.Namespace) -> Config:
    """Do what `load_config` does, for a command line that trains, with its `--amp`.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If an option is one that nothing reads, or the config trains nothing.
    """
    train_in_mixed_precision(args)
    config = load_config(args)
    if config.get('train_cfg') is None:
        raise ValueError(f'{args.config} trains nothing: it has no train_cfg. Evaluate with it: tools/test.py.')
    return config


def _with_types(config: Config, options: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the types that options change: what else is given must suit the new ones."""
    view = copy.deepcopy(config.to_dict())
    for name, value in options.items():
        *path, last = name.split('.')
        if last == 'type' and path:
            node: Any = view
            for part in find_place(name, view).path[:-1]:
                node = node[int(part)] if isinstance(node, (list, tuple)) else node.setdefault(part, {})
            node['type'] = str(value)
    return view


def _add_change(changes: dict[str, Any], path: list[str], value: Any, config: dict[str, Any]) -> None:
    """Add an option to those that MMEngine merges, which it cannot into tuples and single values of a list."""
    node: Any = config
    for depth, part in enumerate(path):
        if isinstance(node, tuple) or (isinstance(node, list) and depth == len(path) - 1):
            key = '.'.join(path[:depth])
            changes[key] = _replace(changes.get(key, node), path[depth:], value)
            return
        inner = node if isinstance(node, dict) else dict(enumerate(node or ()))
        node = inner.get(int(part) if isinstance(node, list) else part)
    changes['.'.join(path)] = value


def _replace(node: Any, path: list[str], value: Any) -> Any:
    """A copy of nested settings with one of them replaced."""
    if not path:
        return value
    if isinstance(node, (list, tuple)):
        entries = list(node)
        entries[int(path[0])] = _replace(entries[int(path[0])], path[1:], value)
        return type(node)(entries)
    return {**(node or {}), path[0]: _replace((node or {}).get(path[0]), path[1:], value)}
