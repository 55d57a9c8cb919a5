from pathlib import Path

from cmdg_plugin.checkpoints.finding import find_checkpoint, list_checkpoints


def test_latest_epoch_is_found_without_the_file_that_names_it(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path) is None
    for name in ('epoch_9.pth', 'epoch_10.pth', 'epoch_11.pth.unfinished', 'best_epoch_12.pth'):
        (tmp_path / name).touch()
    assert find_checkpoint(tmp_path) == str(tmp_path / 'epoch_10.pth')
    assert [path.name for path in list_checkpoints(tmp_path)] == ['epoch_9.pth', 'epoch_10.pth']
