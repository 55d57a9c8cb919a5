from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.ranks import run_on_ranks

from cmdg_plugin.engine.hooks.stage_resume_hook import StageResumeHook


def _code(rank: int, ranks: int, folder: Path) -> None:
    from cmdg_plugin.checkpoints.bank_shards import load_shard, save_shard
    from cmdg_plugin.models.memory import CaptionMemoryBank

    def bank(**options: Any) -> CaptionMemoryBank:
        return CaptionMemoryBank(7, 2, 3, sharded=True, **options)

    torch.manual_seed(0)
    indices, parts = torch.randint(7, (9,)), torch.randn(2, 9, 3)
    for keeps_text in (False, True):
        saved, loaded = bank(save_text=keeps_text), bank(save_text=keeps_text)
        saved.update(indices, parts, -parts)
        save_shard(saved, folder, epochs_done=3)
        load_shard(loaded, folder, epochs_done=3)
        for name in ('image', 'filled', 'image_norms', 'text', 'text_norms'):
            expected = (
                getattr(saved, name) if keeps_text or 'text' not in name else torch.zeros_like(getattr(saved, name))
            )
            assert torch.equal(getattr(loaded, name), expected), name
        if not keeps_text:
            with pytest.raises(ValueError, match='not text'):
                load_shard(bank(save_text=True), folder, epochs_done=3)
        torch.distributed.barrier()


def test_rows_come_back_with_their_captions_where_the_text_tower_trains(tmp_path: Path) -> None:
    run_on_ranks(_code, tmp_path)


def _keeping(rank: int, ranks: int, folder: Path) -> None:
    from types import SimpleNamespace

    from mmengine.hooks import CheckpointHook

    from cmdg_plugin.checkpoints.bank_shards import keep_shard, load_shard
    from cmdg_plugin.models.memory import CaptionMemoryBank

    memory = CaptionMemoryBank(7, 2, 3, sharded=True)

    def there() -> list[str]:
        return sorted(path.name for path in (folder / 'bank_shards').glob('*'))

    def train(hook: StageResumeHook, epochs: Iterable[int], checkpoints: Any) -> None:
        runner = SimpleNamespace(
            hooks=[hook], epoch=0, max_epochs=epochs, train_loop=SimpleNamespace(max_epochs=epochs)
        )
        runner.experiment_name = 'a run'
        hook.out_dir = str(folder)
        for runner.epoch in range(epochs):
            keep_shard(runner, memory)
            # What MMEngine's hook leaves in the folder after this epoch.
            if rank == 0:
                for path in folder.glob('*.pth'):
                    path.unlink()
                for name in checkpoints(runner.epoch + 1):
                    (folder / name).touch()
            torch.distributed.barrier()

    # A crash after epoch 5 leaves the checkpoint of epoch 3, and its rows.
    train(
        CheckpointHook(interval=3), 5, lambda done: ['epoch_3.pth'] if 3 <= done < 5 else ['epoch_3.pth'][: done // 3]
    )
    assert there() == ['epoch_3', 'epoch_5'], there()
    load_shard(memory, folder, 3)
    with pytest.raises(FileNotFoundError, match=r'of the epochs \[3, 5\]: resume from one of their checkpoints'):
        load_shard(memory, folder, 4)
    torch.distributed.barrier()

    # Every checkpoint that is kept keeps its rows, the best one too.
    train(CheckpointHook(interval=1, max_keep_ckpts=-1), 4, lambda done: [f'epoch_{e}.pth' for e in range(1, done + 1)])
    assert there() == ['epoch_1', 'epoch_2', 'epoch_3', 'epoch_4'], there()
    train(CheckpointHook(interval=-1, save_best='auto'), 5, lambda done: ['best_average_mAP_epoch_2.pth'][: done // 2])
    assert there() == ['epoch_2', 'epoch_5'], there()
    torch.distributed.barrier()


def test_rows_live_as_long_as_their_checkpoint(tmp_path: Path) -> None:
    run_on_ranks(_keeping, tmp_path)


def _swapped(rank: int, ranks: int, folder: Path) -> None:
    import shutil

    from cmdg_plugin.checkpoints.bank_shards import load_shard, save_shard
    from cmdg_plugin.models.memory import CaptionMemoryBank

    def refused(message: str, *arguments: Any) -> None:
        with pytest.raises(ValueError, match=message):
            load_shard(*arguments)
        torch.distributed.barrier()

    memory = CaptionMemoryBank(8, 2, 3, sharded=True)
    (folder / 'epoch_3.pth').touch()
    for epoch in (3, 4):
        save_shard(memory, folder, epoch, 'a run')
        torch.distributed.barrier()
    load_shard(memory, folder, 4, 'a run')
    load_shard(memory, folder, 4)
    torch.distributed.barrier()
    refused('run a run, not of run another', memory, folder, 4, 'another')
    refused('as image, and the bank of this run', CaptionMemoryBank(16, 2, 3, sharded=True), folder, 4, 'a run')
    rows = folder / 'bank_shards' / 'epoch_4'
    if rank == 0:
        shutil.copy(folder / 'bank_shards' / 'epoch_3' / 'rank_0_of_2.pth', rows)
        shutil.copy(rows / 'rank_0_of_2.pth', rows / 'rank_1_of_2.pth')
    torch.distributed.barrier()
    refused(
        'holds the rows of epoch 3' + (', rank 0, not of epoch 4, rank 1' if rank else ', not of epoch 4'),
        memory,
        folder,
        4,
        'a run',
    )


def test_rows_of_another_rank_epoch_or_run_are_refused(tmp_path: Path) -> None:
    run_on_ranks(_swapped, tmp_path)


def _full_disk(rank: int, ranks: int, folder: Path) -> None:
    import resource

    from cmdg_plugin.checkpoints.bank_shards import save_shard
    from cmdg_plugin.models.memory import CaptionMemoryBank

    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    with pytest.raises(OSError, match='too large'):
        save_shard(CaptionMemoryBank(4000, 2, 3, sharded=True), folder, 3, 'a run')


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    run_on_ranks(_full_disk, tmp_path)
