"""Command-line tools: in a process of their own, in a fork, or in this one."""

import contextlib
import io
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from helpers.forks import Ended, Fork

REPOSITORY = Path(__file__).parents[2]
TOY = REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py'


def command(tool: Path | str, *arguments: object) -> list[str]:
    """Command line of a tool: one of `tools/` by its name, or any by its path."""
    return [sys.executable, *map(str, (REPOSITORY / 'tools' / tool, *arguments))]


def run_tool_afresh(tool: Path | str, *arguments: object, **settings: Any) -> subprocess.CompletedProcess:
    """Run a tool in an interpreter of its own, in the repository unless `subprocess.run` is told otherwise."""
    settings = {'cwd': REPOSITORY, **settings}
    return subprocess.run(command(tool, *arguments), capture_output=True, text=True, check=False, **settings)


def start_tool(tool: Path | str, *arguments: object, **settings: Any) -> Fork:
    """Start a tool in a fork, in the repository unless `Fork` is told otherwise."""
    return Fork(command(tool, *arguments)[1:], **{'cwd': REPOSITORY, **settings})


def run_tool(tool: Path | str, *arguments: object, **settings: Any) -> Ended:
    """Run a tool in a fork, see `start_tool`."""
    return start_tool(tool, *arguments, **settings).wait()


def find_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return int(free.getsockname()[1])


def run_tool_on_ranks(tool: str, *arguments: object, ranks: int = 2) -> list[Ended]:
    """Run a tool in several forks, which are told what torchrun tells its processes."""
    meeting = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(find_port()), 'WORLD_SIZE': str(ranks)}
    forks = [
        start_tool(
            tool,
            *(*arguments, '--launcher', 'pytorch'),
            env={**os.environ, **meeting, 'RANK': str(rank), 'LOCAL_RANK': str(rank)},
        )
        for rank in range(ranks)
    ]
    return [fork.wait() for fork in forks]


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
