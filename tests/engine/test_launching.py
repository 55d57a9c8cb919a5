import socket

import pytest
import torch
from mmengine.dist import is_distributed

from cmdg_plugin.engine.launching import is_first_process, joined_processes


def enter(launcher: str) -> None:
    with joined_processes(launcher):
        pass


def test_a_launcher_without_its_processes_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('RANK', raising=False)
    enter('none')
    with pytest.raises(RuntimeError, match=r'start with `bash tools/dist_train\.sh CONFIG NUM_GPUS`'):
        enter('pytorch')


@pytest.mark.parametrize(('launcher', 'variable'), [('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_other_launchers_outside_of_their_jobs(launcher: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RuntimeError, match=rf'--launcher {launcher} joins processes that .* \(not set: {variable}'):
        enter(launcher)


def test_a_job_without_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip('has a GPU')
    for name in ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'):
        monkeypatch.setenv(name, '0')
    with pytest.raises(RuntimeError, match='--launcher slurm needs a GPU'):
        enter('slurm')


def test_processes_are_parted_when_all_is_done_and_not_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip('has a GPU')
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    settings = {'RANK': 0, 'WORLD_SIZE': 1, 'LOCAL_RANK': 0, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    with joined_processes('pytorch'):
        assert is_distributed()
    assert not is_distributed()
    try:
        with pytest.raises(ValueError, match='of the run'), joined_processes('pytorch'):
            raise ValueError('of the run')
        assert is_distributed()
    finally:
        torch.distributed.destroy_process_group()


def test_the_first_process_is_known_before_they_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_process('none')
    for launcher, variable in (('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')):
        for rank in (0, 1):
            monkeypatch.setenv(variable, str(rank))
            assert is_first_process(launcher) == (rank == 0)
