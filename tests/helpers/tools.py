"""Command-line tools: in a process of their own, or in this one, which has imported torch for seconds already."""

import contextlib
import io
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

REPOSITORY = Path(__file__).parents[2]
TOY = REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py'


def command(tool: Path | str, *arguments: object) -> list[str]:
    """Command line of a tool: one of `tools/` by its name, or any by its path."""
    return [sys.executable, *map(str, (REPOSITORY / 'tools' / tool, *arguments))]


def run_tool(tool: Path | str, *arguments: object, **settings: Any) -> subprocess.CompletedProcess:
    """Run a tool in a process of its own, in the repository unless `subprocess.run` is told otherwise."""
    settings = {'cwd': REPOSITORY, **settings}
    return subprocess.run(command(tool, *arguments), capture_output=True, text=True, check=False, **settings)


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
