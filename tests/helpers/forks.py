"""Programs that run in forks of one process that has imported the large libraries: each by itself would need seconds.

A fork is what a process of its own would be, from the program's first line to its exit status: nothing of this package
is imported in it, and its folder, environment and output are its own.
"""

import functools
import gc
import importlib.util
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = ('torch', 'torchvision', 'timm', 'open_clip', 'mmengine.runner', 'mmcv', 'matplotlib.figure', 'scipy.stats')
OPTIONAL = ('openai',)
_OUTPUTS = ('stdout', 'stderr')


@dataclass(frozen=True)
class Ended:
    """How a program ended, as `subprocess.CompletedProcess` tells it."""

    returncode: int
    stdout: str
    stderr: str


class Fork:
    """A Python program that runs.

    Args:
        command: The program's file and its arguments.
        cwd: Its current folder.
        env: Its environment; this process's by default. What a library reads as it is imported comes too late.

    Attributes:
        pid: Its process.
    """

    def __init__(self, command: list[str], *, cwd: Path | str, env: Mapping[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix='cmdg-fork-')
        for name in _OUTPUTS:
            # Here: a fork may be killed before it opens them.
            Path(self._folder.name, name).touch()
        environment = dict(os.environ if env is None else env)
        self.pid = _ask({'command': command, 'cwd': str(cwd), 'env': environment, 'folder': self._folder.name})

    def wait(self) -> Ended:
        """Wait for its end."""
        code = _ask(self.pid)
        out, errors = (Path(self._folder.name, name).read_text() for name in _OUTPUTS)
        self._folder.cleanup()
        return Ended(code, out, errors)


@functools.cache
def _start_server() -> subprocess.Popen:
    """Start the process that forks; it ends with this one, which holds the other end of its input."""
    # Libraries ask for CUDA as they are imported: asked in the usual way, no fork could use it.
    environment = {**os.environ, 'PYTORCH_NVML_BASED_CUDA_CHECK': '1'}
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _ask(question: object) -> int:
    server = _start_server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(question) + '\n')
    server.stdin.flush()
    return int(server.stdout.readline())


def serve() -> None:
    """Answer a program with the number of its process, and that number, once it has ended, with its exit status."""
    del sys.path[0]  # this folder, where no library is
    for name in (*LIBRARIES, *filter(importlib.util.find_spec, OPTIONAL)):
        importlib.import_module(name)
    # Collecting garbage would copy every page into every fork.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        question = json.loads(line)
        if isinstance(question, int):
            answer = os.waitstatus_to_exitcode(os.waitpid(question, 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                # Leaves this loop for good: the fork ends as any interpreter does.
                return _become(**question)
        print(answer, flush=True)


def _become(command: list[str], cwd: str, env: dict[str, str], folder: str) -> None:
    # Ignored where pytest itself runs in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.__stdin__.fileno())
    for number, name in enumerate(_OUTPUTS, 1):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    places = [place for place in env.get('PYTHONPATH', '').split(os.pathsep) if place]
    sys.path[:0] = [str(Path(command[0]).parent), *places]
    sys.argv = command
    runpy.run_path(command[0], run_name='__main__')


if __name__ == '__main__':
    serve()
