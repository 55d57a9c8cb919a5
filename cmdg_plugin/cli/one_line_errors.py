"""Errors of a run in one line, in terms of its config, with the traceback in the log file."""

import linecache
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from cmdg_plugin.checkpoints.finding import list_checkpoints
from cmdg_plugin.cli.known_arguments import list_arguments, registered_names, suggest
from cmdg_plugin.nested import walk
from cmdg_plugin.saying import printable

INTERRUPTED = 130
_UNREGISTERED = re.compile(r'(\S+) is not in the (\S+?)::(.+?) registry')
_UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'(\w+)\.__init__\(\) missing \d+ required .*argument')
# Where a `raise` speaks to the user, beside the tool itself. What other libraries raise, or an operation of ours, is a
# fault of the program.
_SPOKEN_BY = ('cmdg_plugin', 'mmengine', 'mmpretrain', 'torchreid')
# torch names the setting that it refuses in its own classes for users, such as a negative rate or number of workers.
_REFUSED_BY = ('torch.optim.', 'torch.utils.data.')
_SPOKEN = (ValueError, TypeError, LookupError, OSError, RuntimeError, ImportError)


class OneLineErrors(AbstractContextManager):
    """Context that ends the program with one line for what the user can mend, and by Ctrl-C.

    Anything else, and everything with `debug` or at log level DEBUG, is raised as it is.

    Args:
        program: What the line begins with.
        debug: Whether to raise everything.
        resumable: Whether `--resume` goes on from what is in the work folder.

    Attributes:
        config: The run's config, as soon as there is one; it is asked for the place of what is wrong.
    """

    def __init__(self, program: str, debug: bool = False, resumable: bool = False) -> None:
        self.program = Path(program).name
        self.debug = debug
        self.resumable = resumable
        self.config: Config | None = None

    def __exit__(self, *raised: Any) -> None:
        """Say what went wrong, and end the program."""
        error = raised[1]
        if error is None or self.debug or (self.config or {}).get('log_level') == 'DEBUG':
            return
        if isinstance(error, KeyboardInterrupt):
            sys.stderr.write(f'{self.program}: interrupted.{self._how_to_go_on()}\n')
            raise SystemExit(INTERRUPTED) from None
        line = explain(error, self.config.to_dict() if self.config is not None else {})
        if line is not None:
            file = _write_traceback(error) if self.config is not None else None
            where = f' (Traceback: {file})' if file else ''
            line = printable(line, keep='\n')  # names of files may hold anything
            raise SystemExit(f'{self.program}: {line}{self._how_to_go_on(only_if_begun=True)}{where}') from None

    def _how_to_go_on(self, only_if_begun: bool = False) -> str:
        if not self.resumable or self.config is None:
            return ''
        saved = list_checkpoints(self.config.work_dir)
        if saved:
            return f' The same command with --resume goes on from {saved[-1]}.'
        return '' if only_if_begun else ' No checkpoint is saved yet: the same command starts anew.'


def explain(error: BaseException, config: Mapping[str, Any]) -> str | None:
    """Phrase an error that the user can mend.

    Returns:
        One line; None for what only the traceback explains.
    """
    text = ' '.join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    if isinstance(error, KeyError) and (found := _UNREGISTERED.search(text)):
        return _explain_type(found.group(1), found.group(3), config)
    if isinstance(error, TypeError) and (found := _UNEXPECTED.search(text)) and _raised_in(error, 'build_functions'):
        return _explain_argument(found.group(1), found.group(2), config)
    if isinstance(error, TypeError) and (found := _MISSING.search(text)) and _raised_in(error, 'build_functions'):
        return f'{_place_of(found.group(1), config)}{text}.'
    if type(error).__module__.startswith(('cmdg_plugin.', 'torch.')) and 'Original Traceback' in str(error):
        # A worker of a dataloader sends its traceback along with the message.
        if not type(error).__module__.startswith('cmdg_plugin.'):
            return None
        return str(error).strip().rpartition(f'{type(error).__name__}: ')[2]
    if isinstance(error, _SPOKEN) and (_is_spoken(error) or (isinstance(error, OSError) and error.filename)):
        return text
    return None


def _explain_type(name: str, kind: str, config: Mapping[str, Any]) -> str:
    from mmengine.registry import Registry

    from cmdg_plugin import registry as own

    names = [known for r in vars(own).values() if isinstance(r, Registry) for known in registered_names(r)]
    return f'{_place_of(name, config)}{name!r} is not a known {kind}{suggest(name.rpartition(".")[2], names)}.'


def _explain_argument(built: str, argument: str, config: Mapping[str, Any]) -> str:
    for place, settings in _settings(config):
        if str(settings.get('type', '')).rpartition('.')[2] == built and argument in settings:
            known = list_arguments(place.split('.'), settings, config.get('default_scope')) or {}
            return f'The config has {place}.{argument}: {built} takes no {argument}{suggest(argument, known)}.'
    return f'{built} takes no argument {argument}, which the config gives it.'


def _place_of(name: str, config: Mapping[str, Any]) -> str:
    for place, settings in _settings(config):
        if str(settings.get('type', '')) in (name, f'cmdg_plugin.{name}'):
            return f'The config has {place}.type={settings["type"]!r}: '
    return ''


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All dicts of a config, each with its dotted key."""
    return ((place, node) for place, node in walk(config) if isinstance(node, Mapping))


def _raised_in(error: BaseException, module: str) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).stem == module


def _is_spoken(error: BaseException) -> bool:
    """Whether a line that begins with `raise`, in a package that speaks to its users or in a tool, raised an error."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return False
    first, (last, line) = frames[0][0], frames[-1]
    # By its name, not its path: a clone of this repository may hold all packages.
    module = last.f_globals.get('__name__', '')
    by = module.partition('.')[0] in _SPOKEN_BY
    by = by or (type(error) is ValueError and module.startswith(_REFUSED_BY))
    # The first frame is the tool's that called; tools import one another.
    tools, file = Path(first.f_code.co_filename).parent, last.f_code.co_filename
    return (by or Path(file).parent == tools) and linecache.getline(file, line).strip().startswith('raise')


def _write_traceback(error: BaseException) -> str | None:
    """Write the traceback into the run's log file; returns its name, or None if there is none yet."""
    logger = MMLogger.get_current_instance()
    text = ''.join(traceback.format_exception(error))
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, text, (), None)
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    for handler in files:
        handler.handle(record)
    return files[0].baseFilename if files else None
