"""Config files, read so that every option and environment variable arrives as the string that was given."""

import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

_PREFIX = 'CMDG_'
# What a config's text asks for: `given.get('CMDG_DATA_ROOT')`, or MMEngine's '{{$CMDG_DATA_ROOT:data}}'.
_ASKED_FOR = re.compile(rf"""['"$]({_PREFIX}\w+)""")
_PASTED = re.compile(rf"""\{{\{{['"]?\s*\$({_PREFIX}\w+)""")
# MMEngine pastes a value into the text of a config, where these would be code.
_CODE = re.compile(r"""['"\\{}\x00-\x1f]""")
_WRONG_CONFIG = (SyntaxError, ValueError, TypeError, NameError, AttributeError, LookupError, ArithmeticError, OSError)


class PlainConfig(Config):
    """A config that writes itself without yapf, and as text that reads back as it was.

    Yapf takes a third of a second each time, and MMEngine writes the config at the start and in every checkpoint. It
    also replaces `{{...}}` inside the strings of a config file that it reads; so none is written.
    """

    @property
    def pretty_text(self) -> str:
        """The config as Python source."""
        return super().pretty_text.replace('{{', '{\\x7b')


def read_file(path: str, options: Mapping[str, str]) -> tuple[PlainConfig, set[str]]:
    """Read a config file and its bases while options without a dot stand in the environment.

    Args:
        path: The file.
        options: Text by name.

    Returns:
        The config, and the names of the options that its files compute with.

    Raises:
        ValueError: If the file cannot be read, also with these options; names file and line.
    """
    given = {**_given_in_environment(), **options}
    for name, text in given.items():
        _check_text(name, text)
    variables = {name if name.startswith(_PREFIX) else _variable(name): text for name, text in given.items()}
    _check_pasted(path, Path(path).read_text(encoding='utf-8', errors='replace'), variables)
    with _in_environment(options):
        try:
            config = Config.fromfile(path)
        except ImportError as error:
            raise ValueError(f'{path} imports what cannot be imported: {error.__cause__ or error}.') from error
        except (*_WRONG_CONFIG, re.error) as error:
            raise ValueError(_explain(path, error, given)) from error
    _check_pasted(path, config.text, variables)
    asked_for = {*_ASKED_FOR.findall(config.text), *config.env_variables}
    used = {name for name in options if _variable(name) in asked_for}
    plain = PlainConfig(
        config.to_dict(),
        cfg_text=config.text,
        filename=config.filename,
        env_variables=config.env_variables,
        format_python_code=False,
    )
    return plain, used


def _variable(name: str) -> str:
    return _PREFIX + name.upper()


def _given_in_environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith(_PREFIX)}


def _check_text(name: str, text: str) -> None:
    try:
        text.encode('utf-8')
    except UnicodeEncodeError:
        raise ValueError(f'{name} is {text!r}, which is not text in UTF-8: rename the file or folder.') from None
    if '\0' in text:
        raise ValueError(f'{name} is {text!r}; a NUL character belongs in no path and no name.')


def _check_pasted(path: str, text: str, variables: Mapping[str, str]) -> None:
    for variable in _PASTED.findall(text):
        if _CODE.search(variables.get(variable, '')):
            raise ValueError(
                f'{path} takes {variable} in as text ({{{{${variable}:...}}}}), which {variables[variable]!r} would '
                f"break. In the file, write __import__('os').environ.get('{variable}') instead."
            )


def _explain(path: str, error: Exception, given: Mapping[str, str]) -> str:
    """Say where a config file went wrong, and with what it was read."""
    place = path
    if isinstance(error, SyntaxError) and error.lineno:
        place += f', line {error.lineno}'
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == '<module>']
    if frames:
        place = f'{os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}'
    named = ', '.join(f'{name}={text}' for name, text in given.items())
    reason = f'{type(error).__name__}: {error}'.replace('\n', ' ')
    return f'{place}: {reason}{f" (given: {named})" if named else ""}.'


@contextmanager
def _in_environment(options: Mapping[str, str]) -> Iterator[None]:
    """Context in which options are environment variables; empty ones are left out, so that the defaults hold."""
    before = _given_in_environment()
    given = {**before, **{_variable(name): text for name, text in options.items()}}
    for variable in before:
        del os.environ[variable]
    os.environ.update({variable: text for variable, text in given.items() if text})
    try:
        yield
    finally:
        for variable in given:
            os.environ.pop(variable, None)
        os.environ.update(before)
