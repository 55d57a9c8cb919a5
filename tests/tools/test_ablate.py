"""The ablation tool, as a user runs it, on a training of a second or two."""

import json
import subprocess
import sys
from pathlib import Path

import torch

import cmdg_plugin.registry  # noqa: F401  (lets torch read the checkpoints)

REPOSITORY = Path(__file__).parents[2]
ROWS = {'all terms': {}, 'without part': {'model.losses.bridging.part.weight': 0}}


def command(config: Path, grid: Path, work: Path, *extra: str) -> list[str]:
    arguments = [str(config), '--grid', str(grid), '--work-dir', str(work), '--metric', 'average/R1', 'average/mAP']
    return [sys.executable, str(REPOSITORY / 'tools/ablate.py'), *arguments, *extra]


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, cwd=REPOSITORY)


def write_grid(path: Path, **content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / 'epoch_7.pth', weights_only=True)['state_dict']


def test_rows_with_a_shared_beginning_are_those_from_scratch_bit_by_bit(config_file: Path, tmp_path: Path):
    shared = write_grid(tmp_path / 'shared.json', rows=ROWS, shared_until='prompt')
    alone = write_grid(tmp_path / 'alone.json', rows=ROWS)
    for grid in (shared, alone):
        result = run(config_file, grid, tmp_path / grid.stem, '--seeds', '1', '--keep-checkpoints')
        assert result.returncode == 0, result.stderr[-3000:]
    (beginning,) = (tmp_path / 'shared/_shared').glob('until_prompt_*/seed0')
    assert (beginning / 'epoch_5.pth').is_file()
    for row in ('all_terms', 'without_part'):
        ours, theirs = (tmp_path / grid / row / 'seed0' for grid in ('shared', 'alone'))
        assert not (ours / 'epoch_6.pth').samefile(theirs / 'epoch_6.pth')
        assert not list(ours.glob('epoch_[1-5].pth'))
        expected = weights(theirs)
        assert weights(ours).keys() == expected.keys()
        assert not [name for name, value in weights(ours).items() if not torch.equal(value, expected[name])]
        assert json.loads((ours / 'results.json').read_text()) == json.loads((theirs / 'results.json').read_text())
    assert any(
        not torch.equal(value, weights(tmp_path / 'shared/all_terms/seed0')[name])
        for name, value in weights(tmp_path / 'shared/without_part/seed0').items()
    )
