"""Command-line tools, run in this process: another one would import torch for seconds before it says a word."""

import contextlib
import io
import os
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a tool ended, as `subprocess.CompletedProcess` tells it."""

    returncode: int
    stdout: str
    stderr: str


def run_here(tool: str, *arguments: object) -> Ended:
    """Run a tool of `tools/` by its name, up to its end or its exit; for what ends before anything is built."""
    path = REPOSITORY / 'tools' / tool
    out, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, 'argv', [str(path), *map(str, arguments)]),
        mock.patch.dict(os.environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            runpy.run_path(str(path), run_name='__main__')
            code: object = 0
        except SystemExit as end:
            code = end.code
    if isinstance(code, str):
        # As the interpreter does with what it ends with.
        errors.write(f'{code}\n')
        code = 1
    return Ended(int(code or 0), out.getvalue(), errors.getvalue())
