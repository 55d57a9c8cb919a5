"""Functions of test modules, called by a process of its own that has imported and done nothing before."""

import inspect
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def command_of(function: Callable[..., None], *arguments: object) -> list[str]:
    """The program, with its arguments, that calls a function of a test module.

    It imports the function's module first: what must come before an import stands in the function.
    """
    return [__file__, inspect.getfile(function), function.__name__, *map(str, arguments)]


def call_afresh(function: Callable[..., None], *arguments: str, **settings: Any) -> str:
    """Call a function of a test module in a new interpreter, as `subprocess.run` with these settings; its output."""
    command = [sys.executable, *command_of(function, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def call_in_fork(function: Callable[..., None], *arguments: str, **settings: Any) -> str:
    """Call a function of a test module in a fork, with settings of `Fork`; its output.

    For all but what depends on how an interpreter starts: the large libraries are there already, nothing of ours is.
    """
    from helpers.forks import (
        Fork,  # not above: this file is a program, too, which finds no helpers before its first line
    )

    done = Fork(command_of(function, *arguments), **{'cwd': Path.cwd(), **settings}).wait()
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).parents[1])  # as pytest has it, in place of this folder
    # By file: pytest's names for test modules are not names that a process of its own could import.
    runpy.run_path(sys.argv[1])[sys.argv[2]](*sys.argv[3:])
