import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.tiny_runs import train
from mmengine.config import Config
from mmengine.fileio import get_file_backend
from mmengine.hooks import CheckpointHook

from cmdg_plugin.engine.atomic_backend import ATOMIC_BACKEND, AtomicLocalBackend


@pytest.fixture
def full_disk() -> Iterator[None]:
    """A file may not grow beyond 1,000 bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_file_is_written_whole(tmp_path: Path) -> None:
    backend = get_file_backend(backend_args={'backend': ATOMIC_BACKEND})
    backend.put(b'first', tmp_path / 'new' / 'file.pth')
    backend.put(b'second', str(tmp_path / 'new' / 'file.pth'))
    assert [path.read_bytes() for path in (tmp_path / 'new').iterdir()] == [b'second']


def test_full_disk_leaves_the_old_file_alone(tmp_path: Path, full_disk: None) -> None:
    target = tmp_path / 'file.pth'
    AtomicLocalBackend().put(b'old', target)
    with pytest.raises(OSError, match='File too large'):
        AtomicLocalBackend().put(b'x' * 5000, target)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'old']


def test_configs_write_checkpoints_with_it_and_never_are_without_one(tiny_config: Config) -> None:
    """MMEngine removes the oldest checkpoint before it writes the newest: one alone would be none for a while."""
    assert tiny_config.default_hooks.checkpoint.max_keep_ckpts >= 2
    tiny_config.train_cfg.stages = tiny_config.train_cfg.stages[:1]
    runner = train(tiny_config)
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    assert isinstance(hook.file_backend, AtomicLocalBackend)
    assert (Path(runner.work_dir) / 'epoch_2.pth').is_file()
