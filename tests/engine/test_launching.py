import pytest
import torch

from cmdg_plugin.engine.launching import is_first_process, join_processes


def test_a_launcher_without_its_processes_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('RANK', raising=False)
    join_processes('none')
    with pytest.raises(RuntimeError, match=r'start with `bash tools/dist_train\.sh CONFIG NUM_GPUS`'):
        join_processes('pytorch')


@pytest.mark.parametrize(('launcher', 'variable'), [('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_other_launchers_outside_of_their_jobs(launcher: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RuntimeError, match=rf'--launcher {launcher} joins processes that .* \(not set: {variable}'):
        join_processes(launcher)


def test_a_job_without_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip('has a GPU')
    for name in ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'):
        monkeypatch.setenv(name, '0')
    with pytest.raises(RuntimeError, match='--launcher slurm needs a GPU'):
        join_processes('slurm')


def test_the_first_process_is_known_before_they_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_process('none')
    for launcher, variable in (('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')):
        for rank in (0, 1):
            monkeypatch.setenv(variable, str(rank))
            assert is_first_process(launcher) == (rank == 0)
