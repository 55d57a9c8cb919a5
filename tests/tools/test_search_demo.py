import importlib.util
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from helpers.search_gallery import make_gallery

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec('gradio') is None, reason='the package gradio is not installed')
def test_it_serves_until_it_is_interrupted_and_refuses_a_taken_port(tmp_path: Path) -> None:
    make_gallery(tmp_path).close()
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        port = taken.getsockname()[1]
        taken.listen()
        command = [sys.executable, 'tools/search_demo.py', str(tmp_path / 'people'), '--port', str(port)]
        refused = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 1
    assert f'search_demo.py: Port {port} of 127.0.0.1 cannot be opened' in refused.stderr
    assert 'Traceback' not in refused.stderr
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith('Open '))
            with urllib.request.urlopen(line.split()[1], timeout=20) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(20) in (0, 130)
        finally:
            process.kill()
